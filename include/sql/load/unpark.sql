delete from intra42.parked_records as p
using {stage} as staged
where p.resource = %(resource)s and p.id = staged.id

select number, id, payload
from intra42.parked_records
where resource = %(resource)s and coalesce(seq, 0) <= %(from_seq)s
order by number
for update

-- Rows that the API has shown lately, other than those in question.
select e.id
from {target} as e
left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
where e.id <> all(%(ids)s::bigint[])
order by greatest(e._seq, v.seq) desc
limit %(witnesses)s

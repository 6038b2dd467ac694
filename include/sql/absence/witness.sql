-- Rows that the API has shown lately, other than those in question.
select c.id
from intra42.checks as c
join {target} as e on e.id = c.id
where c.resource = %(resource)s and c.id <> all(%(ids)s::bigint[])
order by c.seq desc
limit %(witnesses)s

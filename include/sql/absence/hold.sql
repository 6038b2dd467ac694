-- Wait for whoever is just showing these rows, so that the delete after this sees what they wrote.
with held as (
  select v.id
  from intra42.verifications as v
  where v.resource = %(resource)s and v.id = any(%(ids)s::bigint[])
  order by v.id
  for update
)
select e.id
from {target} as e
left join held on held.id = e.id
where e.id = any(%(ids)s::bigint[])
order by e.id
for update of e

-- Wait for whoever is just showing these rows, so that the delete after this sees what they wrote.
with held as (
  select v.id
  from {target} as e
  join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
  where e.{key} = any(%(ids)s::bigint[])
  order by v.id
  for update of v
)
select count(*)
from (
  select e.id
  from {target} as e
  left join held on held.id = e.id
  where e.{key} = any(%(ids)s::bigint[])
  order by e.id
  for update of e
) as rows

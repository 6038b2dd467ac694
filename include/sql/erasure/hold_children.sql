-- Wait for whoever is just showing rows of these accounts, so that what they wrote is seen.
with held as (
  select v.id
  from {target} as e
  join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
  where e.user_id = any(%(users)s::bigint[])
  order by v.id
  for update of v
)
select count(*)
from (
  select e.id
  from {target} as e
  left join held on held.id = e.id
  where e.user_id = any(%(users)s::bigint[])
  order by e.id
  for update of e
) as rows

-- Rows of other cursus of those who stay, and how many rows there are.
select
  coalesce(
    array_agg(e.id order by e.id) filter (
      where (e.cursus_id is null or e.cursus_id <> all(%(cursus)s::bigint[]))
        and e.user_id <> all(%(users)s::bigint[])
    ),
    array[]::bigint[]
  ),
  count(*)
from {target} as e

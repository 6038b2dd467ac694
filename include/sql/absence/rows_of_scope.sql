-- How many rows a scope has, counted no further than the guard needs to know.
select count(*)
from (
  select 1
  from intra42.users as u
  cross join lateral (
    select 1 from {target} as e where e.user_id = u.id {of_cursus} offset 0
  ) as owned
  where u.campus_id = %(campus_id)s::bigint
    or (%(campus_id)s::bigint is null and u.campus_id is null)
  limit %(enough)s
) as counted

-- Users at home on none of the campuses (null: all are wanted), or enrolled in none of the cursus; and
-- how many users there are.
select
  coalesce(
    array_agg(u.id order by u.id) filter (
      where (%(campuses)s::bigint[] is not null
          and (u.campus_id is null or u.campus_id <> all(%(campuses)s::bigint[])))
        or not exists (
          select 1
          from intra42.cursus_users as e
          where e.user_id = u.id and e.cursus_id = any(%(cursus)s::bigint[])
        )
    ),
    array[]::bigint[]
  ),
  count(*)
from intra42.users as u

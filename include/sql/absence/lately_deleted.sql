-- Per scope (campus of the user, and cursus where the table has one) of rows about to be deleted: how
-- many they are, and how many rows any DAG deleted there in a day and in a week.
with doomed as (
  select
    coalesce(u.campus_id::text, 'none') {cursus} as scope,
    u.campus_id,
    {cursus_id} as cursus_id,
    count(*) as rows
  from {target} as e
  join intra42.users as u on u.id = e.user_id
  where e.id = any(%(ids)s::bigint[])
  group by 1, 2, 3
)
select doomed.scope, doomed.campus_id, doomed.cursus_id, doomed.rows, lately.in_a_day, lately.in_a_week
from doomed
cross join lateral (
  select count(*) filter (where t.deleted_at > %(day)s) as in_a_day, count(*) as in_a_week
  from intra42.tombstones as t
  where t.resource = %(resource)s
    and t.scope = doomed.scope
    and t.deleted_at > %(week)s
    and t.restored_at is null
    and not t.purged
) as lately
order by doomed.scope

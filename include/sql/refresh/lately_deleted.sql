-- Per scope (campus of the user and cursus): rows there are, deleted lately, about to be deleted.
with doomed as (
  select coalesce(u.campus_id::text, 'none') || '/' || e.cursus_id as scope, count(*) as rows
  from intra42.cursus_users as e
  join intra42.users as u on u.id = e.user_id
  where e.id = any(%(ids)s::bigint[])
  group by 1
),
present as (
  select coalesce(u.campus_id::text, 'none') || '/' || e.cursus_id as scope, count(*) as rows
  from intra42.cursus_users as e
  join intra42.users as u on u.id = e.user_id
  group by 1
)
select
  doomed.scope,
  present.rows,
  (
    select count(*)
    from intra42.tombstones as t
    where t.resource = %(resource)s and t.scope = doomed.scope
      and t.deleted_at > %(since)s and t.restored_at is null
  ),
  doomed.rows
from doomed
join present on present.scope = doomed.scope
order by doomed.scope

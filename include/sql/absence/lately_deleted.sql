-- Per scope (campus of the user, and cursus where the table has one): rows there are, rows deleted
-- lately by any DAG, rows about to be deleted.
with placed as (
  select e.id, coalesce(u.campus_id::text, 'none') {cursus} as scope
  from {target} as e
  join intra42.users as u on u.id = e.user_id
),
doomed as (
  select scope, count(*) as rows from placed where id = any(%(ids)s::bigint[]) group by scope
),
present as (
  select scope, count(*) as rows
  from placed
  where scope in (select scope from doomed)
  group by scope
)
select
  doomed.scope,
  present.rows,
  (
    select count(*)
    from intra42.tombstones as t
    where t.resource = %(resource)s and t.scope = doomed.scope
      and t.deleted_at > %(since)s and t.restored_at is null and not t.purged
  ),
  doomed.rows
from doomed
join present on present.scope = doomed.scope
order by doomed.scope

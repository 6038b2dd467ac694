with added as (
  insert into {target} ({own}, {other}, _synced_at, _run_id)
  select fresh.own_id, fresh.other_id, %(synced_at)s, %(run_id)s
  from unnest(%(own_ids)s::bigint[], %(other_ids)s::bigint[]) as fresh (own_id, other_id)
  on conflict ({own}, {other}) do nothing
  returning {own} as own_id, {other} as other_id
),
restored as (
  update intra42.tombstones as t
  set restored_at = %(synced_at)s
  from added
  where t.resource = %(resource)s
    and t.id = added.own_id
    and (t.row ->> %(other)s)::bigint = added.other_id
    and t.restored_at is null
)
select count(*) from added

-- Pairs that the parent's fresh list no longer has; each leaves a tombstone under its parent's id.
with gone as (
  delete from {target} as pair
  where pair.{own} = any(%(owners)s::bigint[])
    and not exists (
      select 1
      from unnest(%(own_ids)s::bigint[], %(other_ids)s::bigint[]) as fresh (own_id, other_id)
      where fresh.own_id = pair.{own} and fresh.other_id = pair.{other}
    )
  returning pair.*
)
insert into intra42.tombstones (resource, id, row, reason, dag_id, run_id, deleted_at, seq)
select
  %(resource)s, gone.{own}, to_jsonb(gone), 'no longer in the list of its parent',
  %(dag_id)s, %(run_id)s, %(synced_at)s, %(seq)s
from gone

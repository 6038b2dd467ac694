-- Pairs that two lists of their parent did not have; each leaves a tombstone under its parent's id.
with gone as (
  delete from {target} as pair
  using unnest(%(own_ids)s::bigint[], %(other_ids)s::bigint[]) as lacking (own_id, other_id)
  where pair.{own} = lacking.own_id and pair.{other} = lacking.other_id
  returning pair.*
)
insert into intra42.tombstones (resource, id, row, reason, dag_id, run_id, deleted_at, seq)
select
  %(resource)s, gone.{own}, to_jsonb(gone), 'no longer in the list of its parent',
  %(dag_id)s, %(run_id)s, %(synced_at)s, %(seq)s
from gone

-- Pairs that follow a list of their parent, and how many of them are known.

-- name: add
-- Pairs that a fresh list has; those that were gone are back.
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

-- name: lacking
-- Pairs that the parent's fresh list does not have.
select pair.{own}, pair.{other}
from {target} as pair
where pair.{own} = any(%(owners)s::bigint[])
  and not exists (
    select 1
    from unnest(%(own_ids)s::bigint[], %(other_ids)s::bigint[]) as fresh (own_id, other_id)
    where fresh.own_id = pair.{own} and fresh.other_id = pair.{other}
  )

-- name: remove
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

-- name: counts
-- Rows the mirror has; those among them that the API never gave; those that have a pair with these others.
select
  count(*),
  count(*) filter (where mine.name is null),
  count(*) filter (
    where exists (
      select 1
      from {pairs} as pair
      where pair.{own} = mine.id and pair.{other} = any(%(others)s::bigint[])
    )
  )
from {target} as mine

-- name: counts_of
-- How many rows each of these others has.
select {other}, count(*)
from {pairs}
where {other} = any(%(others)s::bigint[])
group by {other}

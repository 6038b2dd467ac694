-- Pairs that the parent's fresh list does not have.
select pair.{own}, pair.{other}
from {target} as pair
where pair.{own} = any(%(owners)s::bigint[])
  and not exists (
    select 1
    from unnest(%(own_ids)s::bigint[], %(other_ids)s::bigint[]) as fresh (own_id, other_id)
    where fresh.own_id = pair.{own} and fresh.other_id = pair.{other}
  )

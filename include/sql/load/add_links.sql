insert into {target} ({own}, {other}, _synced_at, _run_id)
select fresh.own_id, fresh.other_id, %(synced_at)s, %(run_id)s
from unnest(%(own_ids)s::bigint[], %(other_ids)s::bigint[]) as fresh (own_id, other_id)
on conflict ({own}, {other}) do nothing

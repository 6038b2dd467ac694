-- All columns but the key are null: the API mentions the id and does not give the record.
insert into {target} (id, _synced_at, _run_id, _seq)
select id, %(synced_at)s, %(run_id)s, 0
from unnest(%(ids)s::bigint[]) as id
on conflict (id) do nothing

insert into intra42.sync_run_tables (sync_run_id, resource, inserted, updated, deleted)
select %(id)s, t.resource, t.inserted, t.updated, t.deleted
from unnest(
  %(tables)s::text[], %(inserted)s::bigint[], %(updated)s::bigint[], %(deleted)s::bigint[]
) as t (resource, inserted, updated, deleted)
on conflict (sync_run_id, resource) do update set
  inserted = excluded.inserted, updated = excluded.updated, deleted = excluded.deleted

with clock as (
  update intra42.dag_runs
  set clock = %(clock)s, heard_at = now(), agreed = %(agreed)s, last_seq = greatest(last_seq, %(last_seq)s)
  where dag_id = %(dag_id)s and run_id = %(run_id)s and %(clock)s::timestamptz is distinct from clock
    and %(clock)s::timestamptz is not null
),
tables as (
  insert into intra42.sync_run_tables (sync_run_id, resource, inserted, updated, deleted)
  select %(id)s, t.resource, t.inserted, t.updated, t.deleted
  from unnest(
    %(tables)s::text[],
    %(tables_inserted)s::bigint[],
    %(tables_updated)s::bigint[],
    %(tables_deleted)s::bigint[]
  ) as t (resource, inserted, updated, deleted)
  on conflict (sync_run_id, resource) do update set
    inserted = excluded.inserted, updated = excluded.updated, deleted = excluded.deleted
)
update intra42.sync_runs
set
  pages = %(pages)s,
  records = %(records)s,
  bytes = %(bytes)s,
  inserted = %(inserted)s,
  updated = %(updated)s,
  unchanged = %(unchanged)s,
  deleted = %(deleted)s,
  parked = %(parked)s,
  retries_429 = %(retries_429)s,
  window_from = %(window_from)s,
  window_to = %(window_to)s
where id = %(id)s

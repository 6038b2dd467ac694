-- Runs of our DAGs and attempts of their tasks.

-- name: open_run
-- A run of a DAG begins, or begins anew.
insert into intra42.dag_runs as r (dag_id, run_id, first_seq, clock)
values (
  %(dag_id)s,
  %(run_id)s,
  nextval('intra42.request_seq'),
  null
)
-- A run that is cleared looks at everything again.
on conflict (dag_id, run_id) do update set opened_at = now(), first_seq = excluded.first_seq
returning first_seq

-- name: opened_lately
-- Whether this DAG has begun a run in the last half day.
select exists (
  select 1
  from intra42.dag_runs
  where dag_id = %(dag_id)s and opened_at > now() - interval '12 hours'
)

-- name: advance_sequences
-- Move sequences forward that are behind the numbers in the tables.
select sequence, was, moved_to from intra42.advance_sequences(%(whole)s)

-- name: run_start
-- The number of the first request of a run, and the API's clock as it was heard last.
select first_seq, clock from intra42.dag_runs where dag_id = %(dag_id)s and run_id = %(run_id)s

-- name: heard
-- What the API's clock should show now: as this run heard it, or else any run, where it is our own.
-- A clock of its own may have moved in any way since.
select r.clock + (now() - r.heard_at), r.agreed
from (
  select clock, heard_at, agreed, true as mine
  from intra42.dag_runs
  where dag_id = %(dag_id)s and run_id = %(run_id)s and heard_at is not null
  union all
  select clock, heard_at, agreed, false from intra42.last_heard
) as r
where r.mine or r.clock between r.heard_at - interval '10 minutes' and r.heard_at + interval '10 minutes'
order by r.mine desc
limit 1

-- name: latest_clock
-- The API's clock as it was heard last, in any run. Not the latest of all: one `Date` that was years
-- ahead would be it for ever.
select coalesce((select clock from intra42.last_heard), now())

-- name: introduce
-- Triggers learn from this who writes.
select
  set_config('intra42.dag_id', %(dag_id)s, false),
  set_config('intra42.loads', %(loads)s::boolean::text, false)

-- name: try_lock
-- Take the lock of a table for this session, if nobody has it.
select pg_try_advisory_lock(hashtextextended(%(name)s, 4242))

-- name: lock
-- Wait for the lock of a table, and take it for this session.
select pg_advisory_lock(hashtextextended(%(name)s, 4242))

-- name: begin
-- The row of this attempt; one that waited for the quota goes on in its own.
with lost as (
  -- An attempt that was killed could not write its end.
  update intra42.sync_runs
  set status = 'lost', finished_at = now()
  where dag_id = %(dag_id)s and run_id = %(run_id)s and task_id = %(task_id)s
    and map_index = %(map_index)s and status = 'running'
),
resumed as (
  -- An attempt that waited for the quota goes on in its own row.
  update intra42.sync_runs
  set status = 'running', finished_at = null
  where dag_id = %(dag_id)s and run_id = %(run_id)s and task_id = %(task_id)s
    and map_index = %(map_index)s and try_number = %(try_number)s and status = 'deferred'
  returning id
),
begun as (
  insert into intra42.sync_runs
    (dag_id, run_id, task_id, map_index, try_number, resource, started_at, status)
  select
    %(dag_id)s, %(run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, %(resource)s, now(),
    'running'
  where not exists (select 1 from resumed)
  returning id
)
select id from resumed union all select id from begun

-- name: resumed
-- What an attempt had counted before it waited for the quota.
select
  pages, records, unchanged, parked, bytes, retries_429, requests, inserted, updated, deleted,
  array(select resource from intra42.sync_run_tables where sync_run_id = r.id order by resource),
  array(
    select array[inserted, updated, deleted]
    from intra42.sync_run_tables where sync_run_id = r.id order by resource
  )
from intra42.sync_runs as r
where id = %(id)s

-- name: save
-- What this attempt has counted so far, and the API's clock as it heard it.
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

-- name: untold
-- What attempts wrote that no event may have told about: earlier ones of this run, and all of the
-- runs since the last one in which every attempt of these tasks succeeded. So all is told at least
-- once. The row without a table has the requests of all of them, and of this attempt.
with mine as materialized (
  select id, run_id, status, requests
  from intra42.sync_runs
  where dag_id = %(dag_id)s
    and started_at > now() - interval '3 days'
    and (
      (task_id = %(task_id)s and map_index = %(map_index)s)
      or task_id = any(%(also)s::text[])
    )
),
told as (
  select coalesce(max(succeeded.id), 0) as id
  from (
    select max(id) as id
    from mine
    where run_id <> %(run_id)s
    group by run_id
    having bool_and(status = 'success')
  ) as succeeded
),
chosen as materialized (
  select mine.id, mine.requests
  from mine, told
  where mine.id <> %(id)s and (mine.run_id = %(run_id)s or mine.id > told.id)
)
select t.resource, sum(t.inserted)::bigint, sum(t.updated)::bigint, sum(t.deleted)::bigint, 0::bigint
from chosen
-- The ledger has a few rows for each attempt: `offset` looks them up instead of reading all of it.
cross join lateral (
  select resource, inserted, updated, deleted
  from intra42.sync_run_tables
  where sync_run_id = chosen.id
  offset 0
) as t
group by t.resource
union all
select null, 0, 0, 0, sum(asked.requests)::bigint
from (
  select requests from chosen
  union all
  select requests from intra42.sync_runs where id = %(id)s
) as asked

-- name: end
-- How this attempt ended.
update intra42.sync_runs set status = %(status)s, finished_at = now() where id = %(id)s

-- name: drop_idle
-- An attempt that neither talked to the API nor changed anything leaves no row.
delete from intra42.sync_runs
where id = %(id)s and requests = 0 and inserted + updated + deleted + parked = 0

-- name: prune
-- What is never needed again, a batch of each table a night; returns how many rows went, by table.
-- Tombstones, parked records and levels stay: promises need them. See docs/architecture.md for what is
-- kept how long.
with attempts as (
  -- The page shows 30 days, and when each table was read last. Takes sync_run_tables along.
  delete from intra42.sync_runs
  where id = any(array(
    select id
    from intra42.sync_runs
    where started_at < now() - interval '400 days'
    order by started_at
    limit %(batch)s
  ))
  returning id
),
runs as (
  delete from intra42.dag_runs as r
  using (
    select dag_id, run_id
    from intra42.dag_runs
    where opened_at < now() - interval '400 days'
    order by opened_at
    limit %(batch)s
  ) as old
  where r.dag_id = old.dag_id and r.run_id = old.run_id
  returning r.run_id
),
-- What belongs to a run: once that is over for good, nobody goes on with it.
explicit as (
  select j.id
  from intra42.jobs as j
  where j.finished_at is null
    and j.own and j.kind <> 'refetch'
    and j.created_at < now() - interval '30 days'
    and not exists (
      select 1
      from intra42.sync_runs as r
      where r.dag_id = j.dag_id and r.run_id = j.run_id
        and coalesce(r.finished_at, r.started_at) > now() - interval '30 days'
    )
  order by j.id
  limit %(batch)s
),
jobs as (
  delete from intra42.jobs where id = any(array(select id from explicit)) returning id
),
refetched as (
  -- Each DAG forgets its own; those of a DAG that is gone stay behind.
  delete from intra42.jobs
  where kind = 'refetch' and created_at < now() - interval '7 days'
  returning id
),
outsiders as (
  delete from intra42.outsiders
  where user_id = any(array(
    select user_id
    from intra42.outsiders
    where checked_at < %(clock)s::timestamptz - interval '7 days'
      or checked_at > %(clock)s::timestamptz + interval '1 day'
    order by checked_at
    limit %(batch)s
  ))
  returning user_id
)
select 'sync_runs', count(*) from attempts
union all
select 'dag_runs', count(*) from runs
union all
select 'jobs', (select count(*) from jobs) + (select count(*) from refetched)
union all
select 'outsiders', count(*) from outsiders

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
-- An explicit window belongs to its run: once that is over for good, nobody goes on with it.
explicit as (
  select j.id
  from intra42.jobs as j
  where j.finished_at is null
    and j.kind = 'explicit'
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
readers as (
  delete from intra42.history_chunks as c
  where c.reader <> ''
    and not exists (
      select 1
      from intra42.sync_runs as r
      where r.dag_id = c.dag_id and r.run_id = c.reader
        and coalesce(r.finished_at, r.started_at) > now() - interval '30 days'
    )
  returning c.first_user
),
refetched as (
  -- Each DAG forgets its own; those of a DAG that is gone stay behind.
  delete from intra42.refresh_chunks where planned_at < now() - interval '7 days' returning chunk
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
select 'jobs', count(*) from jobs
union all
select 'history_chunks', count(*) from readers
union all
select 'refresh_chunks', count(*) from refetched
union all
select 'outsiders', count(*) from outsiders

-- The page in Airflow.

-- name: activity
-- What the runs did, by time: the attempts that began in each interval. Without dag_id the others
-- are those of people's own DAGs. Each interval is one look into the index by start, so that a month
-- of attempts is not sorted.
with span as (
  select generate_series(
    date_bin(%(bucket)s::interval, now() - %(span)s::interval, timestamptz '2000-01-01 00:00+00'),
    now(),
    %(bucket)s::interval
  ) as bucket
)
select
  s.bucket as begins_at,
  coalesce(x.nightly, 0)::bigint as nightly,
  coalesce(x.incremental, 0)::bigint as incremental,
  coalesce(x.others, 0)::bigint as others,
  coalesce(x.inserted, 0)::bigint as inserted,
  coalesce(x.updated, 0)::bigint as updated,
  coalesce(x.deleted, 0)::bigint as deleted,
  coalesce(x.refused, 0)::bigint as refused
from span as s
cross join lateral (
  select
    sum(requests) filter (where dag_id = %(nightly)s) as nightly,
    sum(requests) filter (where dag_id = %(incremental)s) as incremental,
    sum(requests) filter (where dag_id <> all (array[%(nightly)s, %(incremental)s])) as others,
    sum(inserted) as inserted,
    sum(updated) as updated,
    sum(deleted) as deleted,
    sum(retries_429) as refused
  from intra42.sync_runs
  where started_at >= s.bucket
    and started_at < s.bucket + %(bucket)s::interval
    and (%(dag_id)s::text is null or dag_id = %(dag_id)s)
) as x
order by s.bucket

-- name: audit
-- How many users had their rows counted against the API, and how long ago, by table. A day and a
-- week have two hours more, because the run that counts takes its time each night. A subquery computes
-- when that was once, not for each of 200,000 rows.
with users as (
  select count(*) as users from intra42.users
),
counted as (
  select
    resource,
    count(*) filter (where audited_at > (select now() - interval '26 hours')) as within_a_day,
    count(*) filter (
      where audited_at <= (select now() - interval '26 hours')
        and audited_at > (select now() - interval '170 hours')
    ) as within_a_week,
    count(*) filter (where audited_at <= (select now() - interval '170 hours')) as longer_ago,
    min(audited_at) as longest_ago
  from intra42.audits
  group by resource
)
select
  t.name,
  u.users,
  coalesce(c.within_a_day, 0) as within_a_day,
  coalesce(c.within_a_week, 0) as within_a_week,
  coalesce(c.longer_ago, 0) as longer_ago,
  greatest(
    u.users - coalesce(c.within_a_day + c.within_a_week + c.longer_ago, 0), 0
  ) as never,
  c.longest_ago
from unnest(%(tables)s::text[]) with ordinality as t (name, number)
cross join users as u
left join counted as c on c.resource = t.name
order by t.number

-- name: count
-- How many rows a table has.
select {label} as name, count(*) as rows from {table}

-- name: freshness
-- When each table was last read up to now: the start of the last attempt that succeeded. Attempts
-- that read an explicit window do not count. What the API refuses to show has its sentence.
select
  t.name, t.resource, last.started_at as read_at, last.dag_id, last.run_id, now() as asked_at,
  refused.said
from unnest(%(tables)s::text[], %(resources)s::text[], %(tasks)s::text[], %(mapped)s::boolean[])
  with ordinality as t (name, resource, task_id, mapped, number)
left join lateral (
  select r.started_at, d.dag_id, r.run_id
  from unnest(%(dags)s::text[]) as d (dag_id)
  cross join lateral (
    select started_at, run_id
    from intra42.sync_runs
    where dag_id = d.dag_id and task_id = t.task_id and (not t.mapped or resource = t.resource)
      and status = 'success' and window_to is null
    order by started_at desc
    limit 1
  ) as r
  order by r.started_at desc
  limit 1
) as last on true
left join intra42.refusals as refused on refused.resource = t.resource
order by t.number

-- name: asked_tables
-- The further tables that the settings used last ask for.
select distinct asked.name
from intra42.settings as s
cross join lateral jsonb_array_elements_text(s.used -> 'tables') as asked (name)

-- name: has_schema
-- Whether any run has made the schema.
select to_regclass('intra42.sync_runs') is not null

-- name: levels
-- Levels that changed without a new updated_at, by how long the change may have stayed unseen.
select
  width_bucket(extract(epoch from unseen_for)::bigint, %(edges)s::bigint[]) as bucket,
  found_by,
  count(*) as levels
from intra42.levels_recomputed_silently
where observed_at > now() - %(span)s::interval and unseen_for is not null
group by 1, 2
order by 1, 2

-- name: levels_summary
-- How long silent changes of levels were unseen.
select
  count(*) as levels,
  extract(epoch from percentile_disc(0.5) within group (order by unseen_for))::float8 as median_s,
  extract(epoch from percentile_disc(0.9) within group (order by unseen_for))::float8 as most_s,
  extract(epoch from max(unseen_for))::float8 as longest_s
from intra42.levels_recomputed_silently
where observed_at > now() - %(span)s::interval and unseen_for is not null

-- name: limits
-- A figure that takes longer than this is not worth the load; for this transaction only.
select
  set_config('statement_timeout', %(timeout_ms)s::text, true),
  set_config('lock_timeout', %(timeout_ms)s::text, true)

-- name: parked
-- The payload stays where it is: it may hold a person's data.
select
  resource, id, reason, run_id, first_seen_at, last_seen_at, attempts, count(*) over () as total
from intra42.parked_records
order by number desc
limit %(limit)s

-- name: quota
-- The limits of the application that asked last, and the minutes that count towards its hour.
with application as (
  select application, per_hour, paused_until
  from intra42.api_limits
  order by next_slot desc nulls last
  limit 1
),
span as (
  select generate_series(
    date_trunc('minute', now()) - interval '59 minutes', date_trunc('minute', now()), '1 minute'
  ) as minute
),
used as (
  select
    u.minute,
    sum(u.requests) filter (where u.bulk) as bulk,
    sum(u.requests) filter (where not u.bulk) as others
  from intra42.api_usage as u
  join application as a on a.application = u.application
  where u.minute > now() - interval '1 hour'
  group by u.minute
)
select
  s.minute,
  coalesce(u.bulk, 0) as bulk,
  coalesce(u.others, 0) as others,
  a.per_hour,
  case when a.paused_until > now() then a.paused_until end as paused_until,
  a.application is not null as asked_before
from span as s
left join used as u on u.minute = s.minute
left join application as a on true
order by s.minute

-- name: runs
-- The last runs, each with the sums of its attempts.
select
  d.dag_id,
  d.run_id,
  d.opened_at,
  r.finished_at,
  coalesce(r.requests, 0)::bigint as requests,
  coalesce(r.inserted, 0)::bigint as inserted,
  coalesce(r.updated, 0)::bigint as updated,
  coalesce(r.deleted, 0)::bigint as deleted,
  coalesce(r.parked, 0)::bigint as parked,
  coalesce(r.failed, 0)::bigint as failed_attempts,
  coalesce(r.running, 0)::bigint as running_attempts
from (
  select dag_id, run_id, opened_at
  from intra42.dag_runs
  where opened_at > now() - interval '400 days' and dag_id = any(%(dags)s::text[])
  order by opened_at desc
  limit %(limit)s
) as d
left join lateral (
  select
    max(finished_at) as finished_at,
    sum(requests) as requests,
    sum(inserted) as inserted,
    sum(updated) as updated,
    sum(deleted) as deleted,
    sum(parked) as parked,
    count(*) filter (where status in ('failed', 'lost')) as failed,
    count(*) filter (where status in ('running', 'deferred')) as running
  from intra42.sync_runs as s
  where s.dag_id = d.dag_id and s.run_id = d.run_id
) as r on true
order by d.opened_at desc

-- name: sizes
-- How many rows the server thinks each table has; 0 where it has not looked yet.
select t.name, greatest(coalesce(c.reltuples, 0), 0)::bigint as estimate
from unnest(%(tables)s::text[]) as t (name)
left join pg_class as c on c.oid = to_regclass(format('intra42.%%I', t.name))

-- name: tombstone_count
-- How many rows were deleted of some tables, and how many of them are back.
select coalesce(sum(c.rows), 0)::bigint as total, coalesce(sum(c.restored), 0)::bigint as restored
from unnest(%(tables)s::text[]) as t (name)
cross join lateral (
  select count(*) as rows, count(restored_at) as restored
  from intra42.tombstones
  where resource = t.name and deleted_at > now() - %(span)s::interval
) as c

-- name: tombstones
-- The row stays where it is: it may hold a person's data.
select resource, id, reason, dag_id, run_id, deleted_at, restored_at
from intra42.tombstones
order by number desc
limit %(limit)s

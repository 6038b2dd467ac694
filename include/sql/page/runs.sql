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

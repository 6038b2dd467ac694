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

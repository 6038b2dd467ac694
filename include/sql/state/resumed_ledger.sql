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

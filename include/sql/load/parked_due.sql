-- Parked records whose turn it is: the wait counts runs, and a week is the longest.
with counted as (
  update intra42.parked_records
  set wait_runs = wait_runs - 1, last_run_id = %(run_id)s
  where resource = %(resource)s and id is not null and last_run_id <> %(run_id)s
)
select id
from intra42.parked_records
where resource = %(resource)s
  and id is not null
  and (
    (last_run_id <> %(run_id)s and wait_runs <= 1)
    or last_seen_at < %(week_ago)s
  )
order by id

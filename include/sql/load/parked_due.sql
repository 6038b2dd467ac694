-- Parked records whose turn it is, their next wait twice as long. A wait counts runs of the
-- resource; a week is the longest.
with counted as (
  update intra42.parked_records
  set
    wait_runs = case when wait_runs <= 1 or last_seen_at < %(week_ago)s
      then (2 ^ least(attempts, 10))::integer else wait_runs - 1 end,
    attempts = attempts + (wait_runs <= 1 or last_seen_at < %(week_ago)s)::integer,
    last_seen_at = case when wait_runs <= 1 or last_seen_at < %(week_ago)s
      then %(now)s else last_seen_at end,
    last_run_id = %(run_id)s
  where resource = %(resource)s and id is not null and last_run_id <> %(run_id)s
  returning id, last_seen_at
)
select id from counted where last_seen_at = %(now)s order by id

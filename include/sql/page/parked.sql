-- The payload stays where it is: it may hold a person's data.
select
  resource, id, reason, run_id, first_seen_at, last_seen_at, attempts, count(*) over () as total
from intra42.parked_records
order by number desc
limit %(limit)s

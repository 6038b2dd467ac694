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

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

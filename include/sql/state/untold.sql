-- What attempts wrote that no event may have told about: earlier ones of this run, and all of the
-- runs since the last one in which every attempt of these tasks succeeded. So all is told at least
-- once. The row without a table has the requests of all of them, and of this attempt.
with mine as not materialized (
  select id, run_id, status
  from intra42.sync_runs
  where dag_id = %(dag_id)s
    and started_at > now() - interval '3 days'
    and (
      (task_id = %(task_id)s and map_index = %(map_index)s)
      or task_id = any(%(also)s::text[])
    )
),
told as (
  select coalesce(max(m.id), 0) as id
  from mine as m
  where m.run_id <> %(run_id)s
    and not exists (
      select 1 from mine as other where other.run_id = m.run_id and other.status <> 'success'
    )
),
chosen as (
  select mine.id
  from mine, told
  where mine.id <> %(id)s and (mine.run_id = %(run_id)s or mine.id > told.id)
)
select t.resource, sum(t.inserted)::bigint, sum(t.updated)::bigint, sum(t.deleted)::bigint, 0::bigint
from chosen
join intra42.sync_run_tables as t on t.sync_run_id = chosen.id
group by t.resource
union all
select null, 0, 0, 0, sum(r.requests)::bigint
from intra42.sync_runs as r
where r.id = %(id)s or r.id in (select id from chosen)

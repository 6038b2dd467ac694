-- When each table was last read up to now: the start of the last attempt that succeeded. Attempts
-- that read an explicit window do not count.
select
  t.name, t.group_name, last.started_at as read_at, last.dag_id, last.run_id, now() as asked_at
from unnest(%(tables)s::text[], %(groups)s::text[], %(tasks)s::text[])
  with ordinality as t (name, group_name, task_id, number)
left join lateral (
  select r.started_at, d.dag_id, r.run_id
  from unnest(%(dags)s::text[]) as d (dag_id)
  cross join lateral (
    select started_at, run_id
    from intra42.sync_runs
    where dag_id = d.dag_id and task_id = t.task_id
      and status = 'success' and window_to is null
    order by started_at desc
    limit 1
  ) as r
  order by r.started_at desc
  limit 1
) as last on true
order by t.number

with lost as (
  -- An attempt that was killed could not write its end.
  update intra42.sync_runs
  set status = 'lost', finished_at = now()
  where dag_id = %(dag_id)s and run_id = %(run_id)s and task_id = %(task_id)s
    and map_index = %(map_index)s and status = 'running'
),
resumed as (
  -- An attempt that waited for the quota goes on in its own row.
  update intra42.sync_runs
  set status = 'running', finished_at = null
  where dag_id = %(dag_id)s and run_id = %(run_id)s and task_id = %(task_id)s
    and map_index = %(map_index)s and try_number = %(try_number)s and status = 'deferred'
  returning id
),
begun as (
  insert into intra42.sync_runs
    (dag_id, run_id, task_id, map_index, try_number, resource, started_at, status)
  select
    %(dag_id)s, %(run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, %(resource)s, now(),
    'running'
  where not exists (select 1 from resumed)
  returning id
)
select id from resumed union all select id from begun

with chunk as (
  delete from intra42.history_chunks where dag_id = %(dag_id)s and resource = %(resource)s and reader = %(reader)s
)
delete from intra42.history_queue
where resource = %(resource)s and user_id = any(%(users)s::bigint[])
  and (dag_id = %(dag_id)s or %(all_dags)s)
  and (%(only_run)s::text is null or run_id = %(only_run)s)

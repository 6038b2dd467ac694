update intra42.history_queue
set after = %(after)s
where resource = %(resource)s and user_id = any(%(users)s::bigint[])
  and (dag_id = %(dag_id)s or %(all_dags)s)

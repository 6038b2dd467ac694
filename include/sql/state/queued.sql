select count(distinct user_id)
from intra42.history_queue
where resource = %(resource)s and (dag_id = %(dag_id)s or %(all_dags)s)
  and (%(only_run)s::text is null or run_id = %(only_run)s)

insert into intra42.history_queue (dag_id, resource, user_id, run_id)
select %(dag_id)s, resource, user_id, %(run_id)s
from unnest(%(resources)s::text[]) as resource, unnest(%(users)s::bigint[]) as user_id
on conflict (dag_id, resource, user_id) do nothing

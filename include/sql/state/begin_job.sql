insert into intra42.jobs (dag_id, resource, kind, scopes, window_from, window_to, run_id, moves)
values (
  %(dag_id)s, %(resource)s, %(kind)s, %(scopes)s, %(window_from)s, %(window_to)s, %(run_id)s, %(moves)s
)
returning id

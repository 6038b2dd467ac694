-- An explicit window belongs to its run; all other work goes on where any run left it.
select id, kind, scopes, window_from, window_to, run_id
from intra42.jobs
where dag_id = %(dag_id)s and resource = %(resource)s and finished_at is null
  and (kind <> 'explicit' or run_id = %(run_id)s)
order by id

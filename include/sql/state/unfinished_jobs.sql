-- An explicit window belongs to its run, and its run to it; all other work goes on where any run
-- left it.
select id, kind, scopes, window_from, window_to, run_id
from intra42.jobs
where dag_id = %(dag_id)s and resource = %(resource)s and finished_at is null
  and case when %(explicit)s then kind = 'explicit' and run_id = %(run_id)s else kind <> 'explicit' end
order by id

select id, finished_at
from intra42.jobs
where dag_id = %(dag_id)s and resource = %(resource)s and run_id = %(run_id)s and kind = %(kind)s
order by id desc
limit 1

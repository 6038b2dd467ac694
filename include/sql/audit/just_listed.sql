-- Whether this run has read the listings of students from their beginning to their end.
select 1
from intra42.jobs
where dag_id = %(dag_id)s and run_id = %(run_id)s and resource = 'users'
  and kind in ('first', 'full') and finished_at is not null
limit 1

-- What decides who is in scope, and is still being read.
select resource
from (
  select resource from intra42.jobs where dag_id = %(dag_id)s and finished_at is null and kind <> 'explicit'
  union
  select resource from intra42.history_queue
) as waiting
where resource in ('users', 'campus_users', 'cursus_users')
order by resource

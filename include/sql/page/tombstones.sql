-- The row stays where it is: it may hold a person's data.
select resource, id, reason, dag_id, run_id, deleted_at, restored_at
from intra42.tombstones
order by number desc
limit %(limit)s

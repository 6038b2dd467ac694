-- All chunks are done: the levels of these users have been looked at.
delete from intra42.refresh_requests where dag_id = %(dag_id)s and planned_by = %(run_id)s

delete from intra42.refresh_chunks
where dag_id = %(dag_id)s and (run_id = %(run_id)s or planned_at < now() - interval '7 days')

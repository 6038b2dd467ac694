delete from intra42.refresh_chunks where dag_id = %(dag_id)s

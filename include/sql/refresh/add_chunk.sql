insert into intra42.refresh_chunks (dag_id, run_id, chunk, ids)
values (%(dag_id)s, %(run_id)s, %(chunk)s, %(ids)s)

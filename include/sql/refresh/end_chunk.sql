update intra42.refresh_chunks
set absent = %(absent)s, absent_seqs = %(absent_seqs)s, done = true
where dag_id = %(dag_id)s and run_id = %(run_id)s and chunk = %(chunk)s

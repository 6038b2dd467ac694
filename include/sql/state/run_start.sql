select first_seq, clock from intra42.dag_runs where dag_id = %(dag_id)s and run_id = %(run_id)s

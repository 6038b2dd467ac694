update intra42.refresh_requests set planned_by = %(run_id)s where dag_id = %(dag_id)s

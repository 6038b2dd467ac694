update intra42.sync_runs set status = %(status)s, finished_at = now() where id = %(id)s

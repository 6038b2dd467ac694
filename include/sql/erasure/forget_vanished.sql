delete from intra42.vanished_users where user_id = any(%(users)s::bigint[]) or run_id <> %(run_id)s

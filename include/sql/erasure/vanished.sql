select user_id, coalesce(seq, 0) from intra42.vanished_users where run_id = %(run_id)s order by user_id

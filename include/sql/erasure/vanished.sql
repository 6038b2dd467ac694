select user_id from intra42.vanished_users where run_id = %(run_id)s order by user_id

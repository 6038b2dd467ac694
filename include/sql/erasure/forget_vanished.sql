delete from intra42.vanished_users

(select u.campus_id from intra42.users as u where u.id = staged.user_id)

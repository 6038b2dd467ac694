select id from intra42.users order by id

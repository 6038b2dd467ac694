-- Nobody adds a row of these accounts until they are gone.
select u.id from intra42.users as u where u.id = any(%(users)s::bigint[]) order by u.id for update

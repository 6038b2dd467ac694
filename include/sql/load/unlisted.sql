select id from {target} where id <> all(%(seen)s::bigint[]) order by id

select id from {target} where id = any(%(ids)s::bigint[])

select id
from intra42.checks
where resource = %(resource)s and id = any(%(ids)s::bigint[]) and seq = %(seq)s

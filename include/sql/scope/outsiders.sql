select user_id
from intra42.outsiders
where user_id = any(%(ids)s::bigint[]) and checked_at > %(since)s

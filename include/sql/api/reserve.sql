-- Reserve a slot for one request; nothing is reserved when the wait is too long.
select wait_s, spent
from intra42.reserve_request(
    %(application)s, %(per_second)s, %(per_hour)s, %(bulk)s, %(max_wait_s)s, %(now)s
)

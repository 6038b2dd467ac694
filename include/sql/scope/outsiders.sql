-- A time that has not come yet proves nothing.
select user_id
from intra42.outsiders
where user_id = any(%(ids)s::bigint[])
  and checked_at > %(since)s and checked_at < %(since)s::timestamptz + interval '8 days'

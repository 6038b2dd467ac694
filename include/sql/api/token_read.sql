-- The shared token and the seconds it may still be used; no row when it is time for another.
select token, extract(epoch from renew_at - clock_timestamp())::float8 as seconds
from intra42.api_tokens
where application = %(application)s and renew_at > clock_timestamp()

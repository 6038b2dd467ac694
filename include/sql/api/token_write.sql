-- Keep a fresh token, valid for so many seconds from when it was asked for.
insert into intra42.api_tokens (application, token, renew_at)
values (
    %(application)s, %(token)s, clock_timestamp() + make_interval(secs => %(seconds)s)
)
on conflict (application) do update
set token = excluded.token, renew_at = excluded.renew_at, fetched_at = excluded.fetched_at

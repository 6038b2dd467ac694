-- Nobody sends for so many seconds. A pause only ever gets longer.
insert into intra42.api_limits as mine (application, paused_until)
values (
    %(application)s,
    coalesce(%(now)s, clock_timestamp()) + make_interval(secs => %(seconds)s)
)
on conflict (application) do update
set paused_until = greatest(mine.paused_until, excluded.paused_until)

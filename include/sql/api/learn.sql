-- The API announced its limits: they replace the configured ones for everybody.
insert into intra42.api_limits as mine (application, per_second, per_hour)
values (%(application)s, %(per_second)s, %(per_hour)s)
on conflict (application) do update
set per_second = coalesce(excluded.per_second, mine.per_second),
    per_hour = coalesce(excluded.per_hour, mine.per_hour)
where (mine.per_second, mine.per_hour) is distinct from
    (coalesce(excluded.per_second, mine.per_second), coalesce(excluded.per_hour, mine.per_hour))

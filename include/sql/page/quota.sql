-- The limits of the application that asked last, and the minutes that count towards its hour.
with application as (
  select application, per_hour, paused_until
  from intra42.api_limits
  order by next_slot desc nulls last
  limit 1
),
span as (
  select generate_series(
    date_trunc('minute', now()) - interval '59 minutes', date_trunc('minute', now()), '1 minute'
  ) as minute
),
used as (
  select
    u.minute,
    sum(u.requests) filter (where u.bulk) as bulk,
    sum(u.requests) filter (where not u.bulk) as others
  from intra42.api_usage as u
  join application as a on a.application = u.application
  where u.minute > now() - interval '1 hour'
  group by u.minute
)
select
  s.minute,
  coalesce(u.bulk, 0) as bulk,
  coalesce(u.others, 0) as others,
  a.per_hour,
  case when a.paused_until > now() then a.paused_until end as paused_until,
  a.application is not null as asked_before
from span as s
left join used as u on u.minute = s.minute
left join application as a on true
order by s.minute

-- How many users had their rows counted against the API, and how long ago, by table. A day and a
-- week have two hours more, because the run that counts takes its time each night. A subquery reckons
-- when that was once, not for each of 200,000 rows.
with users as (
  select count(*) as users from intra42.users
),
counted as (
  select
    resource,
    count(*) filter (where audited_at > (select now() - interval '26 hours')) as within_a_day,
    count(*) filter (
      where audited_at <= (select now() - interval '26 hours')
        and audited_at > (select now() - interval '170 hours')
    ) as within_a_week,
    count(*) filter (where audited_at <= (select now() - interval '170 hours')) as longer_ago,
    min(audited_at) as longest_ago
  from intra42.audits
  group by resource
)
select
  t.name,
  u.users,
  coalesce(c.within_a_day, 0) as within_a_day,
  coalesce(c.within_a_week, 0) as within_a_week,
  coalesce(c.longer_ago, 0) as longer_ago,
  greatest(
    u.users - coalesce(c.within_a_day + c.within_a_week + c.longer_ago, 0), 0
  ) as never,
  c.longest_ago
from unnest(%(tables)s::text[]) with ordinality as t (name, number)
cross join users as u
left join counted as c on c.resource = t.name
order by t.number

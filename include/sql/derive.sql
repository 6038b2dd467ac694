-- Columns that follow other tables: for staged rows, and for those stored before.

-- name: for_achievements_users
-- The first of the configured cursus in which the user has an enrolment.
left join lateral (
  select e.cursus_id
  from intra42.cursus_users as e
  where e.user_id = staged.user_id and e.cursus_id = any(%(all_cursus_ids)s::bigint[])
  order by array_position(%(all_cursus_ids)s::bigint[], e.cursus_id)
  limit 1
) as derived on true

-- name: for_coalitions_users
-- The campus of the coalition.
left join intra42.coalitions as derived on derived.id = staged.coalition_id

-- name: for_projects_users
-- The users of a page are looked up together; `offset` keeps the planner from doing so row by row.
left join (
  select u.id, u.campus_id
  from intra42.users as u
  where u.id = any(array(select distinct user_id from {stage}))
  offset 0
) as derived on derived.id = staged.user_id

-- name: for_users
-- The primary campus, the latest membership where there are several.
left join lateral (
  select m.campus_id
  from intra42.campus_users as m
  where m.user_id = staged.id and m.is_primary
  order by m.id desc
  limit 1
) as derived on true

-- name: from_campus_users
-- users.campus_id, then projects_users.campus_id, of these users (all of them where ids is null).
-- Whoever left a campus may have changed since unseen by its filter: their rows of the tables
-- that are listed by campus are queued, to be read by user id. Returns how many rows changed, by table.
with home as materialized (
  select u.id, u.campus_id as was, m.campus_id
  from intra42.users as u
  left join (
    select distinct on (user_id) user_id, campus_id
    from intra42.campus_users
    where is_primary and (%(ids)s::bigint[] is null or user_id = any(%(ids)s::bigint[]))
    order by user_id, id desc
  ) as m on m.user_id = u.id
  where %(ids)s::bigint[] is null or u.id = any(%(ids)s::bigint[])
),
moved as (
  update intra42.users as u
  set campus_id = home.campus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from home
  where home.id = u.id and home.was is distinct from home.campus_id
    and u.campus_id is distinct from home.campus_id
  returning u.id
),
queued as (
  insert into intra42.to_read (dag_id, resource, user_id, why, run_id)
  select %(dag_id)s, resource, home.id, 'history', %(run_id)s
  from home, unnest(%(listed_by_campus)s::text[]) as resource
  where home.was is not null and home.was is distinct from home.campus_id
  on conflict (dag_id, resource, user_id, why) do update set run_id = excluded.run_id
),
-- A network has a million attempts: summed up by user, and only those of users with a wrong one joined.
attempts as (
  select user_id, min(campus_id) as lowest, max(campus_id) as highest, count(*) > count(campus_id) as lost
  from intra42.projects_users
  where %(ids)s::bigint[] is null or user_id = any(%(ids)s::bigint[])
  group by user_id
),
wrong as materialized (
  select home.id, home.campus_id
  from home
  join attempts on attempts.user_id = home.id
  where (attempts.lowest, attempts.highest) is distinct from (home.campus_id, home.campus_id)
    or (attempts.lost and home.campus_id is not null)
),
followed as (
  update intra42.projects_users as p
  set campus_id = wrong.campus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from wrong
  where p.user_id = wrong.id and p.campus_id is distinct from wrong.campus_id
    and p.user_id = any(array(select id from wrong))
  returning p.id
)
select 'users', count(*) from moved union all select 'projects_users', count(*) from followed

-- name: from_coalitions
-- coalitions_users.campus_id follows the coalition's. Returns how many rows changed, by table.
with followed as (
  update intra42.coalitions_users as m
  set campus_id = c.campus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from intra42.coalitions as c
  where c.id = m.coalition_id
    and (%(ids)s::bigint[] is null or c.id = any(%(ids)s::bigint[]))
    and m.campus_id is distinct from c.campus_id
  returning m.id
)
select 'coalitions_users', count(*) from followed

-- name: from_cursus_users
-- achievements_users.cursus_id of these users (all of them where ids is null). Returns
-- how many rows changed, by table.
with first_cursus as materialized (
  select u.id as user_id, e.cursus_id
  from intra42.users as u
  left join (
    select distinct on (user_id) user_id, cursus_id
    from intra42.cursus_users
    where cursus_id = any(%(all_cursus_ids)s::bigint[])
      and (%(ids)s::bigint[] is null or user_id = any(%(ids)s::bigint[]))
    order by user_id, array_position(%(all_cursus_ids)s::bigint[], cursus_id)
  ) as e on e.user_id = u.id
  where %(ids)s::bigint[] is null or u.id = any(%(ids)s::bigint[])
),
followed as (
  update intra42.achievements_users as a
  set cursus_id = first_cursus.cursus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from first_cursus
  where first_cursus.user_id = a.user_id and a.cursus_id is distinct from first_cursus.cursus_id
    and (%(ids)s::bigint[] is null or a.user_id = any(%(ids)s::bigint[]))
  returning a.id
)
select 'achievements_users', count(*) from followed

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
  insert into intra42.history_queue (dag_id, resource, user_id, run_id)
  select %(dag_id)s, resource, home.id, %(run_id)s
  from home, unnest(array['users', 'cursus_users', 'projects_users']) as resource
  where home.was is not null and home.was is distinct from home.campus_id
  on conflict (dag_id, resource, user_id) do update set run_id = excluded.run_id
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

-- users.campus_id, then projects_users.campus_id, of these users (all of them where ids is null).
-- Whoever left a campus may have changed since behind the back of its filter: his rows of the tables
-- that are listed by campus are queued, to be read by user id. Returns how many rows changed, by table.
with home as (
  select u.id, u.campus_id as was, (
    select m.campus_id
    from intra42.campus_users as m
    where m.user_id = u.id and m.is_primary
    order by m.id desc
    limit 1
  ) as campus_id
  from intra42.users as u
  where %(ids)s::bigint[] is null or u.id = any(%(ids)s::bigint[])
),
moved as (
  update intra42.users as u
  set campus_id = home.campus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from home
  where home.id = u.id and u.campus_id is distinct from home.campus_id
  returning u.id
),
queued as (
  insert into intra42.history_queue (dag_id, resource, user_id, run_id)
  select %(dag_id)s, resource, home.id, %(run_id)s
  from home, unnest(array['users', 'cursus_users', 'projects_users']) as resource
  where home.was is not null and home.was is distinct from home.campus_id
  on conflict (dag_id, resource, user_id) do update set run_id = excluded.run_id
),
followed as (
  update intra42.projects_users as p
  set campus_id = home.campus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from home
  where p.user_id = home.id and p.campus_id is distinct from home.campus_id
  returning p.id
)
select 'users', count(*) from moved union all select 'projects_users', count(*) from followed

-- What a year leaves of a network of 40,000 students, beside the ledger of year.sql. Ids are spread as
-- those of the API are: who comes first is in every table first, and the rows of one user are not
-- beside each other. Foreign keys and triggers are left out while it is made, for the time they take.



-- A network refetches in nine tasks more.
insert into intra42.sync_runs
  (dag_id, run_id, task_id, map_index, resource, started_at, finished_at, status, requests, pages,
   records, inserted, updated, unchanged, deleted, parked)
select
  r.dag_id, r.run_id, 'refresh_ongoing.refetch', n, 'cursus_users',
  r.opened_at + interval '50 seconds', r.opened_at + interval '53 seconds',
  'success', 10, 10, 900, 0, 2, 898, 0, 0
from intra42.dag_runs as r
cross join generate_series(1, 6) as n;
insert into intra42.sync_run_tables (sync_run_id, resource, inserted, updated, deleted)
select id, resource, inserted, updated, deleted from intra42.sync_runs where map_index > 0;
update intra42.dag_runs
set clock = opened_at + interval '5 minutes', heard_at = opened_at + interval '5 minutes', first_seq = 1 + extract(
  epoch from opened_at - (now() - interval '366 days')
)::bigint / 3;
insert into intra42.dag_runs (dag_id, run_id, first_seq, opened_at, clock)
values
  ('intra42_nightly', 'tonight', 10541000, now(), now()),
  ('intra42_incremental', 'this quarter hour', 10541000, now(), now());
select setval('intra42.request_seq', 10542000);

insert into intra42.cursus (id, name, slug, _synced_at, _run_id, _seq)
select n, 'Cursus ' || n, 'cursus-' || n, now() - interval '1 day', 'nightly', 10500000
from generate_series(1, 80) as n;
insert into intra42.campuses (id, name, time_zone, active, listed, _synced_at, _run_id, _seq)
select n, 'Campus ' || n, 'Europe/Paris', true, n < 60, now() - interval '1 day', 'nightly', 10500000
from generate_series(1, 62) as n;
insert into intra42.projects (id, name, slug, created_at, updated_at, listed, _synced_at, _run_id, _seq)
select
  n, 'Project ' || n, 'project-' || n, now() - interval '4 years', now() - interval '1 year', true,
  now() - interval '1 day', 'nightly', 10500000
from generate_series(1, 3000) as n;
insert into intra42.project_sessions
  (id, project_id, campus_id, cursus_id, created_at, updated_at, _synced_at, _run_id, _seq)
select
  n, 1 + n % 3000, 1 + n % 62, 21, now() - interval '4 years', now() - interval '1 year',
  now() - interval '1 day', 'nightly', 10500000
from generate_series(1, 40000) as n;
insert into intra42.cursus_projects (cursus_id, project_id, _synced_at, _run_id)
select 21, n, now() - interval '1 day', 'nightly' from generate_series(1, 3000) as n;
insert into intra42.campus_projects (campus_id, project_id, _synced_at, _run_id)
select c, p, now() - interval '1 day', 'nightly'
from generate_series(1, 62) as c, generate_series(1, 3000) as p
where (c * p) % 3 = 0;
insert into intra42.achievements (id, name, description, kind, listed, _synced_at, _run_id, _seq)
select
  n, 'Achievement ' || n, repeat('Well done. ', 6), 'project', true, now() - interval '1 day',
  'nightly', 10500000
from generate_series(1, 4000) as n;
insert into intra42.campus_achievements (campus_id, achievement_id, _synced_at, _run_id)
select c, a, now() - interval '1 day', 'nightly'
from generate_series(1, 62) as c, generate_series(1, 4000) as a
where (c + a) % 5 = 0;
insert into intra42.coalitions (id, name, score, campus_id, cursus_id, listed, _synced_at, _run_id, _seq)
select n, 'Coalition ' || n, 5000, 1 + n % 62, 21, true, now() - interval '1 day', 'nightly', 10500000
from generate_series(1, 400) as n;
insert into intra42.listing_totals (path, total, seen_at) values ('/v2/achievements', 4000, now());

create temporary table people as
select
  60000 + n * 4 as id, 1 + (n * 7919) % 59 as campus_id, n % 8 = 0 as alumni, n % 700 = 0 as anonymised,
  now() - (40000 - n) * interval '1 hour' as entered_at, n::bigint as n
from generate_series(1, 40000) as n;
analyze people;

insert into intra42.users
  (id, email, login, first_name, last_name, usual_full_name, url, phone, displayname, kind, image_link,
   image_large, image_medium, image_small, image_micro, staff, correction_point, pool_month, pool_year,
   wallet, anonymize_date, created_at, updated_at, alumni, active, campus_id, _synced_at, _run_id, _seq)
select
  p.id, 'login' || n || '@student.example.org',
  case when anonymised then '3b3-' || n else 'login' || n end, 'First' || n, 'Last' || n,
  'First' || n || ' Last' || n, 'https://api.intra.42.fr/v2/users/login' || n, 'hidden',
  'First' || n || ' Last' || n, 'student',
  'https://cdn.intra.42.fr/users/0123456789abcdef/login' || n || '.jpg',
  'https://cdn.intra.42.fr/users/0123456789abcdef/large_login' || n || '.jpg',
  'https://cdn.intra.42.fr/users/0123456789abcdef/medium_login' || n || '.jpg',
  'https://cdn.intra.42.fr/users/0123456789abcdef/small_login' || n || '.jpg',
  'https://cdn.intra.42.fr/users/0123456789abcdef/micro_login' || n || '.jpg',
  false, n % 20, 'july', '2024', n % 900, now() + interval '3 years', entered_at,
  now() - ((n * 7919) % 365) * interval '1 day', alumni, true, campus_id,
  now() - ((n * 7919) % 365) * interval '1 day', 'scheduled__' || n, 10540000 - 28800 * ((n * 7919) % 365)
from people as p;
insert into intra42.users (id, login, kind, campus_id, _synced_at, _run_id, _seq)
select 50000 + n, 'leaving' || n, 'student', 1, now() - interval '1 day', 'run', 10500000
from generate_series(1, 20) as n;
insert into intra42.anonymised_users (user_id) select id from people where anonymised;

insert into intra42.campus_users
  (id, user_id, campus_id, is_primary, created_at, updated_at, _synced_at, _run_id, _seq)
select
  k * 45000 + n, id, 1 + (campus_id - 1 + k) % 59, k = 0, entered_at, entered_at,
  now() - ((n * 104729) % 365) * interval '1 day', 'run', 10540000 - 28800 * ((n * 104729) % 365)
from people, generate_series(0, 1) as k
where k = 0 or n % 8 = 0;

insert into intra42.cursus_users
  (id, user_id, cursus_id, grade, level, skills, begin_at, end_at, has_coalition, created_at,
   updated_at, _synced_at, _run_id, _seq)
select
  k * 50000 + n, id, case k when 0 then 21 else 1 end, 'Member', (n % 2100) / 100.0,
  (
    select jsonb_agg(jsonb_build_object('id', s, 'name', 'Skill number ' || s, 'level', s / 7.0))
    from generate_series(1, 12) as s
  ),
  entered_at, case when alumni or k = 1 then now() - interval '200 days' end, true, entered_at,
  now() - ((n * 31) % 300) * interval '1 day', now() - ((n * 31) % 300) * interval '1 day', 'run',
  10540000 - 28800 * ((n * 31) % 300)
from people, generate_series(0, 1) as k
where k = 0 or n % 8 = 0;

insert into intra42.projects_users
  (id, user_id, project_id, cursus_id, campus_id, final_mark, status, validated, occurrence,
   current_team_id, marked, marked_at, created_at, updated_at, _synced_at, _run_id, _seq)
select
  r.n, p.id, 1 + (r.n * 31) % 3000, 21, p.campus_id, 100, 'finished', true, 0, r.n, true,
  x.day, x.day - interval '30 days', x.day, x.day, 'run', x.seq
from (
  select n, (n::bigint * 7919) % 40000 + 1 as person, 366 * n::bigint / 1200000 as age
  from generate_series(1, 1200000) as n
) as r
join people as p on p.n = r.person
cross join lateral (
  select now() - (366 - r.age) * interval '1 day' as day, 28800 * r.age + r.n % 28800 as seq
) as x
order by r.n;

insert into intra42.achievements_users
  (id, user_id, achievement_id, cursus_id, nbr_of_success, created_at, updated_at, _synced_at, _run_id,
   _seq)
select
  r.n, p.id, 1 + (r.n * 31) % 4000, 21, 1, x.day, x.day, x.day, 'run', 28800 * r.age + r.n % 28800
from (
  select n, (n::bigint * 104729) % 40000 + 1 as person, 366 * n::bigint / 600000 as age
  from generate_series(1, 600000) as n
) as r
join people as p on p.n = r.person
cross join lateral (select now() - (366 - r.age) * interval '1 day' as day) as x
order by r.n;

insert into intra42.coalitions_users
  (id, coalition_id, user_id, campus_id, score, rank, created_at, updated_at, _synced_at, _run_id, _seq)
select
  r.n, 1 + r.n % 400, p.id, 1 + (1 + r.n % 400) % 62, r.n % 3000, 1 + r.n % 100, p.entered_at, p.entered_at,
  now() - (r.n % 3) * interval '1 day', 'run', 10540000 - 28800 * (r.n % 3)
from generate_series(1, 70000) as r (n)
join people as p on p.n = 1 + (r.n * 7) % 40000
order by r.n;

-- 815,000 rows that were shown again, unchanged, in the last weeks.
insert into intra42.verifications (resource, id, checked_at, seq)
select t.resource, t.id, now() - t.days * interval '1 day', 10540000 - 28800 * t.days + t.id % 28800
from (
  select 'users' as resource, id, 0 as days from intra42.users
  union all
  select 'campus_users', id, 0 from intra42.campus_users
  union all
  select 'cursus_users', id, 0 from intra42.cursus_users
  union all
  select 'coalitions_users', id, 0 from intra42.coalitions_users
  union all
  select 'project_sessions', id, 0 from intra42.project_sessions
  union all
  select 'projects_users', id, 1 + id % 60 from intra42.projects_users where id % 3 = 0
  union all
  select 'achievements_users', id, 1 + id % 60 from intra42.achievements_users where id % 3 = 0
) as t
order by t.resource, t.id;

insert into intra42.audits (resource, user_id, audited_at, seq)
select r.name, p.id, x.at, 10540000 - 28800 * (p.n % 7) - p.n % 20000
from people as p
cross join unnest(
  array['campus_users', 'cursus_users', 'projects_users', 'achievements_users', 'coalitions_users']
) as r (name)
cross join lateral (select now() - (p.n % 7) * interval '1 day' as at) as x;

insert into intra42.cursus_users_levels
  (cursus_user_id, user_id, cursus_id, previous_level, level, found_by, observed_at, unseen_since,
   dag_id, run_id)
select
  p.n, p.id, 21, k, k + 0.5, (array['first', 'event', 'refresh', 'nightly'])[1 + least(k, (k + n) % 4)],
  now() - (16 - k) * interval '22 days', now() - (16 - k) * interval '22 days' - interval '20 minutes',
  'intra42_nightly', 'run'
from generate_series(0, 15) as k, people as p
order by k, p.n;

insert into intra42.tombstones
  (resource, id, row, reason, dag_id, run_id, scope, deleted_at, seq, row_seq, restored_at)
select
  t.resource, 2000000 + t.n,
  jsonb_build_object('id', 2000000 + t.n, 'user_id', 60000 + 4 * (t.n % 40000), 'level', 3.5),
  'absent from two complete answers of one run', 'intra42_nightly', 'run',
  (1 + t.n % 59) || case t.resource when 'cursus_users' then '/21' else '' end,
  now() - (t.n % 365) * interval '1 day', 28800 * (365 - t.n % 365), 28800 * (365 - t.n % 365) - 1,
  case when t.n % 10 = 0 then now() - (t.n % 365) * interval '1 day' end
from (
  select resource, n
  from unnest(
    array['users', 'campus_users', 'cursus_users', 'projects_users', 'achievements_users',
      'coalitions_users', 'campus_projects', 'campus_achievements']
  ) as resource, generate_series(1, 6000) as n
) as t;

insert into intra42.parked_records
  (resource, id, fingerprint, payload, reason, run_id, first_seen_at, last_seen_at, attempts, wait_runs,
   last_run_id, seq)
select
  resource, 3000000 + n, (3000000 + n)::text,
  jsonb_build_object('id', 3000000 + n, 'user.id', 60000 + 4 * n), 'wallet is outside the type bigint',
  'run', now() - interval '60 days', now() - interval '2 days', 7, 5, 'run', 9000000
from unnest(array['users', 'cursus_users', 'projects_users', 'achievements_users']) as resource,
  generate_series(1, 500) as n;

-- What was left over before the year began.
insert into intra42.sync_runs (dag_id, run_id, task_id, resource, started_at, finished_at, status)
select 'intra42_incremental', 'old ' || n / 9, 'primary.users', 'users', t, t, 'success'
from generate_series(1, 20000) as n
cross join lateral (select now() - interval '401 days' - n * interval '100 seconds' as t) as x;
insert into intra42.dag_runs (dag_id, run_id, first_seq, opened_at)
select 'intra42_incremental', 'old ' || n, 1, now() - interval '401 days' - n * interval '15 minutes'
from generate_series(1, 5000) as n;

-- Accounts that were looked up and left out, a few thousand a week.
insert into intra42.outsiders (user_id, checked_at)
select 300000 + n, now() - n * interval '3 minutes' from generate_series(1, 150000) as n;

-- Jobs of the last 30 days, which finish_job keeps, and explicit ones whose run failed for good.
insert into intra42.jobs
  (dag_id, resource, kind, scopes, window_from, run_id, clock, answered, created_at, finished_at)
select
  case when n % 96 = 0 then 'intra42_nightly' else 'intra42_incremental' end, resource, 'window',
  '{all/21}', t, 'run ' || n, t, true, t, t + interval '1 minute'
from unnest(array['users', 'cursus_users', 'campus_users', 'projects_users', 'achievements_users',
  'coalitions_users']) as resource,
  generate_series(1, 2880) as n
cross join lateral (select now() - n * interval '15 minutes' as t) as x;
insert into intra42.jobs
  (dag_id, resource, kind, scopes, window_from, window_to, run_id, created_at, own)
select
  'intra42_nightly', resource, 'explicit', '{all/21}', t, t + interval '1 day', 'backfill ' || n, t, true
from unnest(array['users', 'cursus_users', 'projects_users']) as resource, generate_series(1, 365) as n
cross join lateral (select now() - n * interval '1 day' as t) as x;
insert into intra42.partitions (job_id, number, path, params, scopes, after, clock)
select id, n, '/v2/projects_users', '{"range[updated_at]": "a,b"}', '{all/21}', 1000, created_at
from intra42.jobs, generate_series(1, 4) as n
where finished_at is null;
insert into intra42.to_read (dag_id, resource, user_id, why, run_id)
select 'intra42_nightly', resource, id, 'history', 'run'
from unnest(array['projects_users', 'achievements_users']) as resource, people
where n % 10 = 0
union all
select 'intra42_nightly', 'projects_users', id, 'history', 'backfill ' || n % 300
from people
where n % 10 = 1
union all
select d, 'cursus_users', id, 'refetch', null
from unnest(array['intra42_nightly', 'intra42_incremental']) as d, people
where n % 40 = 0;

-- Backfills that half read the rows of some users, and what each run of the last week refetched.
with begun as (
  insert into intra42.jobs (dag_id, resource, kind, run_id, own)
  select 'intra42_nightly', 'projects_users', 'history', 'backfill ' || n, true
  from generate_series(1, 300) as n
  returning id, split_part(run_id, ' ', 2)::integer as n
)
insert into intra42.partitions (job_id, number, ids, after)
select id, 1, array[60000 + 4 * n], 1000 from begun;
with planned as (
  insert into intra42.jobs (dag_id, resource, kind, run_id, own, created_at, finished_at)
  select
    'intra42_incremental', 'cursus_users', 'refetch', 'scheduled__' || n, true,
    now() - n * interval '15 minutes', now() - n * interval '15 minutes'
  from generate_series(1, 672) as n
  union all
  select
    'intra42_nightly', 'cursus_users', 'refetch', 'nightly ' || n, true,
    now() - n * interval '1 day', now() - n * interval '1 day'
  from generate_series(1, 7) as n
  returning id, dag_id
)
insert into intra42.partitions (job_id, number, ids, done)
select id, n, array(select generate_series(n * 100, n * 100 + 99)), true
from planned, generate_series(1, case dag_id when 'intra42_nightly' then 404 else 20 end) as n;
insert into intra42.vanished_users (user_id, run_id) select id, 'run' from people where n % 5000 = 0;
insert into intra42.sync_state (dag_id, resource, scope, watermark)
select d, r, c || '/21', now() - interval '15 minutes'
from unnest(array['intra42_nightly', 'intra42_incremental']) as d,
  unnest(array['users', 'cursus_users', 'campus_users', 'projects_users', 'achievements_users',
    'coalitions_users']) as r,
  generate_series(1, 62) as c;
insert into intra42.api_limits (application, per_second, per_hour, next_slot)
values ('application', 8, 1200, now());
insert into intra42.api_usage (application, minute, api_minute, bulk, requests)
select 'application', m, m, b, 10
from generate_series(date_trunc('minute', now() - interval '2 hours'), now(), '1 minute') as m,
  unnest(array[true, false]) as b;
drop table people;


-- A year of both DAGs, as their ledger would be: 35,040 incremental runs, 365 nightly ones.
insert into intra42.dag_runs (dag_id, run_id, first_seq, opened_at)
select
  'intra42_incremental', 'scheduled__' || to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'), n, t
from generate_series(1, 35040) as n
cross join lateral (select date_trunc('minute', now()) - n * interval '15 minutes' + interval '9 minutes' as t) as x
union all
select 'intra42_nightly', 'scheduled__' || to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'), n, t
from generate_series(1, 365) as n
cross join lateral (select date_trunc('day', now()) - n * interval '1 day' + interval '26 hours' as t) as x
where t < now();

insert into intra42.sync_runs
  (dag_id, run_id, task_id, resource, started_at, finished_at, status, requests, pages, records,
   inserted, updated, unchanged, deleted, parked)
select
  r.dag_id, r.run_id, t.task_id, t.resource,
  r.opened_at + t.number * interval '4 seconds',
  r.opened_at + t.number * interval '4 seconds' + interval '3 seconds',
  case when (r.first_seq + t.number) % 997 = 0 then 'failed' else 'success' end,
  1 + (r.first_seq * t.number) % 3, 1, 40,
  (r.first_seq * 7 + t.number) % 5,
  busy.share * ((r.first_seq * 13 + t.number * 5) % 40),
  30,
  ((r.first_seq + t.number) % 211 = 0)::integer,
  0
from intra42.dag_runs as r
cross join lateral (
  select greatest(0, sin((extract(hour from r.opened_at) - 6) / 24 * 2 * pi()))::numeric as share
) as busy
cross join (
  values
    (1, 'primary.users', 'users'), (2, 'primary.campus_users', 'campus_users'),
    (3, 'primary.cursus_users', 'cursus_users'), (4, 'primary.projects_users', 'projects_users'),
    (5, 'primary.achievements_users', 'achievements_users'),
    (6, 'primary.coalitions_users', 'coalitions_users'),
    (7, 'refresh_ongoing.plan', 'cursus_users'), (8, 'refresh_ongoing.refetch', 'cursus_users'),
    (9, 'refresh_ongoing.delete_missing', 'cursus_users')
) as t (number, task_id, resource)
union all
select
  r.dag_id, r.run_id, t.task_id, t.resource,
  r.opened_at + t.number * interval '20 seconds',
  r.opened_at + t.number * interval '20 seconds' + interval '18 seconds',
  'success', 4 + t.number, 4, 300, t.number % 3, 9 * t.number, 200, 0, 0
from intra42.dag_runs as r
cross join (
  values
    (1, 'reference.cursus', 'cursus'), (2, 'reference.campuses', 'campuses'),
    (3, 'reference.projects', 'projects'), (4, 'reference.achievements', 'achievements'),
    (5, 'reference.coalitions', 'coalitions'), (10, 'primary.audit', 'users')
) as t (number, task_id, resource)
where r.dag_id = 'intra42_nightly'
union all
-- Three retries and a refetch in several chunks.
select
  r.dag_id, r.run_id, 'refresh_ongoing.refetch', 'cursus_users',
  r.opened_at + interval '40 seconds', r.opened_at + interval '43 seconds',
  'success', 1, 1, 90, 0, 2, 88, 0, 0
from intra42.dag_runs as r
cross join generate_series(1, 3)
where r.dag_id = 'intra42_incremental';

insert into intra42.sync_run_tables (sync_run_id, resource, inserted, updated, deleted)
select id, resource, inserted, updated, deleted
from intra42.sync_runs
where inserted + updated + deleted > 0;

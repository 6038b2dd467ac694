-- What readers ask for, each view over the tables as they are. Columns may be added at the end of a view;
-- where one goes or changes its type, a migration drops the view first.

-- A view, so that whoever may read active_students needs no right to this table.
create or replace view intra42.last_heard as
select r.clock, r.heard_at, r.agreed
from (
  select d.clock, d.heard_at, d.agreed from intra42.dag_runs as d order by d.opened_at desc limit 100
) as r
where r.heard_at is not null
order by r.heard_at desc
limit 1;
comment on view intra42.last_heard is
  'The API''s clock as it was heard last in any run, and when; no row before the first answer.';

create or replace view intra42.active_students as
select
  u.id,
  u.email,
  u.login,
  u.first_name,
  u.last_name,
  u.usual_full_name,
  u.usual_first_name,
  u.url,
  u.phone,
  u.displayname,
  u.kind,
  u.image_link,
  u.image_large,
  u.image_medium,
  u.image_small,
  u.image_micro,
  u.staff,
  u.correction_point,
  u.pool_month,
  u.pool_year,
  u.location,
  u.wallet,
  u.anonymize_date,
  u.data_erasure_date,
  u.created_at,
  u.updated_at,
  u.alumnized_at,
  u.alumni,
  u.active,
  u.campus_id,
  u._synced_at,
  u._run_id,
  ongoing.level,
  ongoing.grade
from intra42.users as u
left join lateral (
  select cu.level, cu.grade
  from intra42.cursus_users as cu
  where cu.user_id = u.id
    and cu.cursus_id = 21
    and (
      cu.end_at is null
      -- The API's clock, as far as we have heard it, not the database's.
      or cu.end_at >= coalesce((select r.clock from intra42.last_heard as r), now())
    )
  order by cu.begin_at desc nulls last, cu.id desc
  limit 1
) as ongoing on true
where u.kind = 'student' and u.alumni is not true;
comment on view intra42.active_students is
  'One row per student who is not an alumnus, with level and grade of the ongoing cursus 21 row.';
comment on column intra42.active_students.level is
  'Level of the ongoing enrolment in cursus 21, the latest begun; null where there is none.';
comment on column intra42.active_students.grade is 'Grade of the same enrolment.';

create or replace view intra42.levels_recomputed_silently as
select
  cursus_user_id,
  user_id,
  cursus_id,
  previous_level,
  level,
  unseen_since,
  observed_at,
  observed_at - unseen_since as unseen_for,
  found_by,
  dag_id,
  run_id
from intra42.cursus_users_levels
where found_by in ('refresh', 'nightly');
comment on view intra42.levels_recomputed_silently is
  'Levels that changed while updated_at stayed; unseen_for is the longest that each can have been wrong in the mirror.';
comment on column intra42.levels_recomputed_silently.unseen_for is
  'observed_at less unseen_since: the longest that the mirror can have been wrong.';

-- A view, so that whoever may read active_students needs no right to this table.
create or replace view intra42.last_heard as
select r.clock, r.heard_at, r.agreed
from (
  select d.clock, d.heard_at, d.agreed from intra42.dag_runs as d order by d.opened_at desc limit 100
) as r
where r.heard_at is not null
order by r.heard_at desc
limit 1;
comment on view intra42.last_heard is
  'The API''s clock as it was heard last in any run, and when; no row before the first answer.';

create or replace view intra42.active_students as
select
  u.id,
  u.email,
  u.login,
  u.first_name,
  u.last_name,
  u.usual_full_name,
  u.usual_first_name,
  u.url,
  u.phone,
  u.displayname,
  u.kind,
  u.image_link,
  u.image_large,
  u.image_medium,
  u.image_small,
  u.image_micro,
  u.staff,
  u.correction_point,
  u.pool_month,
  u.pool_year,
  u.location,
  u.wallet,
  u.anonymize_date,
  u.data_erasure_date,
  u.created_at,
  u.updated_at,
  u.alumnized_at,
  u.alumni,
  u.active,
  u.campus_id,
  u._synced_at,
  u._run_id,
  ongoing.level,
  ongoing.grade
from intra42.users as u
left join lateral (
  select cu.level, cu.grade
  from intra42.cursus_users as cu
  where cu.user_id = u.id
    and cu.cursus_id = 21
    and (
      cu.end_at is null
      -- The API's clock, as far as we have heard it, not the database's.
      or cu.end_at >= coalesce((select r.clock from intra42.last_heard as r), now())
    )
  order by cu.begin_at desc nulls last, cu.id desc
  limit 1
) as ongoing on true
where u.kind = 'student' and u.alumni is not true;
comment on view intra42.active_students is
  'One row per student who is not an alumnus, with level and grade of the ongoing cursus 21 row.';
comment on column intra42.active_students.level is
  'Level of the ongoing enrolment in cursus 21, the latest begun; null where there is none.';
comment on column intra42.active_students.grade is 'Grade of the same enrolment.';

create or replace view intra42.levels_recomputed_silently as
select
  cursus_user_id,
  user_id,
  cursus_id,
  previous_level,
  level,
  unseen_since,
  observed_at,
  observed_at - unseen_since as unseen_for,
  found_by,
  dag_id,
  run_id
from intra42.cursus_users_levels
where found_by in ('refresh', 'nightly');
comment on view intra42.levels_recomputed_silently is
  'Levels that changed while updated_at stayed; unseen_for is the longest that each can have been wrong in the mirror.';
comment on column intra42.levels_recomputed_silently.unseen_for is
  'observed_at less unseen_since: the longest that the mirror can have been wrong.';

-- A row that a request wrote says itself when it was shown (_synced_at, _seq): only those that were shown
-- unchanged are noted elsewhere.
create or replace view intra42.checks as
with shown as (
  select 'cursus' as resource, id, _synced_at, _seq from intra42.cursus
  union all
  select 'campuses', id, _synced_at, _seq from intra42.campuses
  union all
  select 'projects', id, _synced_at, _seq from intra42.projects
  union all
  select 'project_sessions', id, _synced_at, _seq from intra42.project_sessions
  union all
  select 'achievements', id, _synced_at, _seq from intra42.achievements
  union all
  select 'coalitions', id, _synced_at, _seq from intra42.coalitions
  union all
  select 'users', id, _synced_at, _seq from intra42.users
  union all
  select 'campus_users', id, _synced_at, _seq from intra42.campus_users
  union all
  select 'cursus_users', id, _synced_at, _seq from intra42.cursus_users
  union all
  select 'projects_users', id, _synced_at, _seq from intra42.projects_users
  union all
  select 'achievements_users', id, _synced_at, _seq from intra42.achievements_users
  union all
  select 'coalitions_users', id, _synced_at, _seq from intra42.coalitions_users
)
select
  s.resource,
  s.id,
  case when v.seq > s._seq then v.checked_at else s._synced_at end as checked_at,
  greatest(s._seq, v.seq) as seq
from shown as s
left join intra42.verifications as v on v.resource = s.resource and v.id = s.id
where greatest(s._seq, v.seq) > 0;
comment on view intra42.checks is
  'When a row was last seen to be as the mirror has it, changed or not.';
comment on column intra42.checks.resource is 'The table.';
comment on column intra42.checks.id is 'The row''s id.';
comment on column intra42.checks.checked_at is 'The API''s clock when it last showed the row so.';
comment on column intra42.checks.seq is 'The number of the request that showed it.';

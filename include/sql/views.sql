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

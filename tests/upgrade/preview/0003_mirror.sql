-- The mirror itself: tables, foreign keys, comments, the view active_students.

create table intra42.cursus (
  id bigint primary key,
  name text,
  slug text,
  kind text,
  created_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
comment on table intra42.cursus is 'The curricula, as /v2/cursus lists them.';
comment on column intra42.cursus.kind is 'main, piscine, professional_training, ... (free text)';
comment on column intra42.cursus._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.cursus._run_id is 'The Airflow run that stored this version.';
comment on column intra42.cursus._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.campuses (
  id bigint primary key,
  name text,
  time_zone text,
  language_id bigint,
  language_name text,
  language_identifier text,
  users_count bigint,
  vogsphere_id bigint,
  country text,
  address text,
  zip text,
  city text,
  website text,
  facebook text,
  twitter text,
  active boolean,
  public boolean,
  email_extension text,
  default_hidden_phone boolean,
  listed boolean not null default false,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
comment on table intra42.campuses is 'Campuses, as /v2/campus lists them, and stubs of campuses that only other rows mention.';
comment on column intra42.campuses.users_count is 'All accounts ever, applicants included.';
comment on column intra42.campuses.vogsphere_id is 'The campus''s git server.';
comment on column intra42.campuses.listed is 'Whether the last complete listing had it; false for stubs.';
comment on column intra42.campuses._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.campuses._run_id is 'The Airflow run that stored this version.';
comment on column intra42.campuses._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.projects (
  id bigint primary key,
  name text,
  slug text,
  parent_id bigint,
  difficulty bigint,
  exam boolean,
  git_id bigint,
  repository text,
  created_at timestamptz,
  updated_at timestamptz,
  listed boolean not null default false,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
comment on table intra42.projects is 'Projects of the configured cursus, and those that only other rows mention.';
comment on column intra42.projects.parent_id is 'The project this one is a part of; not a foreign key, it may be unlisted.';
comment on column intra42.projects.exam is 'Whether it is an exam.';
comment on column intra42.projects.listed is 'Whether the last complete listing had it; false for stubs.';
comment on column intra42.projects._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.projects._run_id is 'The Airflow run that stored this version.';
comment on column intra42.projects._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.cursus_projects (
  cursus_id bigint not null references intra42.cursus,
  project_id bigint not null references intra42.projects,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (cursus_id, project_id)
);
create index on intra42.cursus_projects (project_id);
comment on table intra42.cursus_projects is 'Which project belongs to which cursus; follows the project''s own list.';
comment on column intra42.cursus_projects._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.cursus_projects._run_id is 'The Airflow run that stored this version.';

create table intra42.campus_projects (
  campus_id bigint not null references intra42.campuses,
  project_id bigint not null references intra42.projects,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (campus_id, project_id)
);
create index on intra42.campus_projects (project_id);
comment on table intra42.campus_projects is 'Which project is offered on which campus; follows the project''s own list.';
comment on column intra42.campus_projects._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.campus_projects._run_id is 'The Airflow run that stored this version.';

create table intra42.achievements (
  id bigint primary key,
  name text,
  description text,
  tier text,
  kind text,
  visible boolean,
  image text,
  nbr_of_success integer,
  users_url text,
  parent_id bigint,
  title text,
  listed boolean not null default false,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
comment on table intra42.achievements is 'The achievements catalogue.';
comment on column intra42.achievements.nbr_of_success is 'How often it must be done; null for once.';
comment on column intra42.achievements.users_url is 'The API''s address of those who have it.';
comment on column intra42.achievements.title is 'The title it gives, with %login as placeholder.';
comment on column intra42.achievements.listed is 'Whether the last complete listing had it; false for stubs.';
comment on column intra42.achievements._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.achievements._run_id is 'The Airflow run that stored this version.';
comment on column intra42.achievements._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.campus_achievements (
  campus_id bigint not null references intra42.campuses,
  achievement_id bigint not null references intra42.achievements,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (campus_id, achievement_id)
);
create index on intra42.campus_achievements (achievement_id);
comment on table intra42.campus_achievements is 'Which achievement can be earned on which campus; exact for configured, listed campuses.';
comment on column intra42.campus_achievements._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.campus_achievements._run_id is 'The Airflow run that stored this version.';

create table intra42.coalitions (
  id bigint primary key,
  name text,
  slug text,
  image_url text,
  cover_url text,
  color text,
  score bigint,
  user_id bigint,
  bloc_id bigint,
  campus_id bigint references intra42.campuses,
  cursus_id bigint references intra42.cursus,
  listed boolean not null default false,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.coalitions (campus_id);
comment on table intra42.coalitions is 'Coalitions, as the blocs (campus x cursus) list them.';
comment on column intra42.coalitions.score is 'The coalition''s score; reset between seasons.';
comment on column intra42.coalitions.user_id is 'The master of the coalition; not a foreign key, he may be out of scope.';
comment on column intra42.coalitions.bloc_id is 'The bloc (campus x cursus) it belongs to.';
comment on column intra42.coalitions.listed is 'Whether the last complete listing had it; false for stubs.';
comment on column intra42.coalitions._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.coalitions._run_id is 'The Airflow run that stored this version.';
comment on column intra42.coalitions._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.users (
  id bigint primary key,
  email text,
  login text,
  first_name text,
  last_name text,
  usual_full_name text,
  usual_first_name text,
  url text,
  phone text,
  displayname text,
  kind text,
  image_link text,
  image_large text,
  image_medium text,
  image_small text,
  image_micro text,
  staff boolean,
  correction_point bigint,
  pool_month text,
  pool_year text,
  location text,
  wallet bigint,
  anonymize_date timestamptz,
  data_erasure_date timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  alumnized_at timestamptz,
  alumni boolean,
  active boolean,
  campus_id bigint references intra42.campuses,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.users (campus_id);
create index on intra42.users (login);
comment on table intra42.users is 'Students of the scope. Once in, an account stays and is kept true, whatever it becomes.';
comment on column intra42.users.kind is 'student, external (applicant) or admin.';
comment on column intra42.users.correction_point is 'Evaluation points; may be negative.';
comment on column intra42.users.wallet is 'Wallet points; may be negative.';
comment on column intra42.users.pool_year is 'Text, as the API has it.';
comment on column intra42.users.location is 'The seat, such as c1r4s7; null when away.';
comment on column intra42.users.anonymize_date is 'When the account will be or was anonymised.';
comment on column intra42.users.data_erasure_date is 'When the data will be erased.';
comment on column intra42.users.active is 'Recomputed by Intra without updated_at; true after each nightly run.';
comment on column intra42.users.campus_id is 'Derived: the primary campus (highest membership id if several, null if none).';
comment on column intra42.users._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.users._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.campus_users (
  id bigint primary key,
  user_id bigint not null references intra42.users,
  campus_id bigint not null references intra42.campuses,
  is_primary boolean,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.campus_users (user_id);
create index on intra42.campus_users (campus_id);
comment on table intra42.campus_users is 'Campus memberships of the users.';
comment on column intra42.campus_users.is_primary is 'Whether it is the user''s home campus.';
comment on column intra42.campus_users._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.campus_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.campus_users._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.cursus_users (
  id bigint primary key,
  user_id bigint not null references intra42.users,
  cursus_id bigint not null references intra42.cursus,
  grade text,
  level double precision,
  skills jsonb,
  begin_at timestamptz,
  end_at timestamptz,
  blackholed_at timestamptz,
  has_coalition boolean,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.cursus_users (user_id);
create index on intra42.cursus_users (cursus_id);
comment on table intra42.cursus_users is 'Enrolments of the users in cursus_ids and refresh_cursus_ids.';
comment on column intra42.cursus_users.grade is 'Learner, Cadet, Member, Transcender, ... (free text)';
comment on column intra42.cursus_users.level is 'Recomputed by Intra without updated_at; kept true by refetching ongoing rows.';
comment on column intra42.cursus_users.skills is 'A list of {id, name, level}.';
comment on column intra42.cursus_users.end_at is 'Null or in the future while the enrolment is ongoing.';
comment on column intra42.cursus_users.blackholed_at is 'The deadline; null where there is none.';
comment on column intra42.cursus_users._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.cursus_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.cursus_users._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.projects_users (
  id bigint primary key,
  user_id bigint not null references intra42.users,
  project_id bigint not null references intra42.projects,
  cursus_id bigint references intra42.cursus,
  campus_id bigint references intra42.campuses,
  final_mark integer,
  status text,
  validated boolean,
  occurrence integer,
  current_team_id bigint,
  marked boolean,
  marked_at timestamptz,
  retriable_at timestamptz,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.projects_users (user_id);
create index on intra42.projects_users (project_id);
create index on intra42.projects_users (updated_at);
comment on table intra42.projects_users is 'Attempts of the users at projects of cursus_ids.';
comment on column intra42.projects_users.cursus_id is 'Derived: the first of cursus_ids that the record''s own list contains.';
comment on column intra42.projects_users.campus_id is 'Derived: the user''s campus_id.';
comment on column intra42.projects_users.final_mark is '0 to 125, -42 for cheating; on a retry the previous mark until the new one.';
comment on column intra42.projects_users.status is 'in_progress, finished, ... (free text)';
comment on column intra42.projects_users.validated is 'Null until marked; on a retry the previous value until the new mark.';
comment on column intra42.projects_users.occurrence is '0 at the first try, 1 at the first retry, ...';
comment on column intra42.projects_users.retriable_at is 'From when it can be tried again.';
comment on column intra42.projects_users._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.projects_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.projects_users._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.achievements_users (
  id bigint primary key,
  user_id bigint not null references intra42.users,
  achievement_id bigint not null references intra42.achievements,
  cursus_id bigint,
  nbr_of_success integer,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.achievements_users (user_id);
create index on intra42.achievements_users (achievement_id);
comment on table intra42.achievements_users is 'Achievements the users earned or progress towards.';
comment on column intra42.achievements_users.cursus_id is 'Derived: the first of cursus_ids, then refresh_cursus_ids, in which the user has a row.';
comment on column intra42.achievements_users.nbr_of_success is 'Progress; compare with achievements.nbr_of_success.';
comment on column intra42.achievements_users._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.achievements_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.achievements_users._seq is 'The number of the request that showed this version; later ones win.';

create table intra42.coalitions_users (
  id bigint primary key,
  coalition_id bigint not null references intra42.coalitions,
  user_id bigint not null references intra42.users,
  campus_id bigint,
  score bigint,
  rank bigint,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.coalitions_users (user_id);
create index on intra42.coalitions_users (coalition_id);
comment on table intra42.coalitions_users is 'Coalition memberships of the users.';
comment on column intra42.coalitions_users.campus_id is 'Derived: the coalition''s campus_id.';
comment on column intra42.coalitions_users.score is 'Recomputed by Intra without updated_at; true after each nightly run.';
comment on column intra42.coalitions_users.rank is 'Within the whole coalition; as untrustworthy as the API''s.';
comment on column intra42.coalitions_users._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.coalitions_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.coalitions_users._seq is 'The number of the request that showed this version; later ones win.';

create view intra42.active_students as
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
      or cu.end_at >= (select coalesce(max(r.clock), now()) from intra42.dag_runs as r)
    )
  order by cu.begin_at desc nulls last, cu.id desc
  limit 1
) as ongoing on true
where u.kind = 'student' and u.alumni is not true;
comment on view intra42.active_students is
  'One row per student who is not an alumnus, with level and grade of his ongoing cursus 21 row.';

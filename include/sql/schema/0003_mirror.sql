-- The mirror itself: what the API has, in the order in which foreign keys allow to store it.

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
comment on column intra42.cursus.id is
  'The API''s id of the cursus, such as 21 for the 42 cursus.';
comment on column intra42.cursus.name is 'Its name.';
comment on column intra42.cursus.slug is 'Its name as it stands in addresses.';
comment on column intra42.cursus.kind is 'main, piscine, professional_training, ... (free text)';
comment on column intra42.cursus.created_at is 'When the API says it was created.';
comment on column intra42.cursus._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.cursus._run_id is 'The Airflow run that stored this version.';
comment on column intra42.cursus._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on table intra42.campuses is
  'Campuses, as /v2/campus lists them, and stubs of campuses that only other rows mention.';
comment on column intra42.campuses.id is 'The API''s id of the campus.';
comment on column intra42.campuses.name is 'Its name.';
comment on column intra42.campuses.time_zone is 'Its time zone, such as Europe/Paris.';
comment on column intra42.campuses.language_id is 'The API''s id of its language.';
comment on column intra42.campuses.language_name is 'Its language, such as French.';
comment on column intra42.campuses.language_identifier is 'Its language as a code, such as fr.';
comment on column intra42.campuses.users_count is 'All accounts ever, applicants included.';
comment on column intra42.campuses.vogsphere_id is 'The campus''s git server.';
comment on column intra42.campuses.country is 'Its country.';
comment on column intra42.campuses.address is 'Its street address.';
comment on column intra42.campuses.zip is 'Its postal code.';
comment on column intra42.campuses.city is 'Its city.';
comment on column intra42.campuses.website is 'Address of its website; often empty text.';
comment on column intra42.campuses.facebook is 'Address of its page there; often empty text.';
comment on column intra42.campuses.twitter is 'Address of its page there; often empty text.';
comment on column intra42.campuses.active is
  'Whether Intra calls it active; /v2/campus lists only such ones.';
comment on column intra42.campuses.public is
  'Whether Intra calls it public; /v2/campus lists only such ones.';
comment on column intra42.campuses.email_extension is
  'What its e-mail addresses end with; null where it has none of its own.';
comment on column intra42.campuses.default_hidden_phone is
  'Whether its users'' telephone numbers are hidden by default.';
comment on column intra42.campuses.listed is
  'Whether the last complete listing had it; false for stubs.';
comment on column intra42.campuses._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.campuses._run_id is 'The Airflow run that stored this version.';
comment on column intra42.campuses._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on table intra42.projects is
  'Projects of the configured cursus, and those that only other rows mention.';
comment on column intra42.projects.id is 'The API''s id of the project.';
comment on column intra42.projects.name is 'Its name.';
comment on column intra42.projects.slug is 'Its name as it stands in addresses.';
comment on column intra42.projects.parent_id is
  'The project this one is a part of; not a foreign key, it may be unlisted.';
comment on column intra42.projects.difficulty is 'A number without a unit; not documented.';
comment on column intra42.projects.exam is 'Whether it is an exam.';
comment on column intra42.projects.git_id is 'Not documented; often null.';
comment on column intra42.projects.repository is 'Not documented; often null.';
comment on column intra42.projects.created_at is 'When the API says it was created.';
comment on column intra42.projects.updated_at is 'When the API says it last changed.';
comment on column intra42.projects.listed is
  'Whether the last complete listing had it; false for stubs.';
comment on column intra42.projects._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.projects._run_id is 'The Airflow run that stored this version.';
comment on column intra42.projects._seq is
  'The number of the request that showed this version; later ones win.';

create table intra42.cursus_projects (
  cursus_id bigint not null references intra42.cursus,
  project_id bigint not null references intra42.projects,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (cursus_id, project_id)
);
create index on intra42.cursus_projects (project_id);
comment on table intra42.cursus_projects is
  'Which project belongs to which cursus; follows the project''s own list.';
comment on column intra42.cursus_projects.cursus_id is 'The cursus.';
comment on column intra42.cursus_projects.project_id is 'The project.';
comment on column intra42.cursus_projects._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.cursus_projects._run_id is 'The Airflow run that stored this version.';

create table intra42.campus_projects (
  campus_id bigint not null references intra42.campuses,
  project_id bigint not null references intra42.projects,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (campus_id, project_id)
);
create index on intra42.campus_projects (project_id);
comment on table intra42.campus_projects is
  'Which project is offered on which campus; follows the project''s own list.';
comment on column intra42.campus_projects.campus_id is
  'The campus; it may be one that is not listed.';
comment on column intra42.campus_projects.project_id is 'The project.';
comment on column intra42.campus_projects._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.campus_projects._run_id is 'The Airflow run that stored this version.';

create table intra42.project_sessions (
  id bigint primary key,
  project_id bigint not null references intra42.projects,
  campus_id bigint references intra42.campuses,
  cursus_id bigint references intra42.cursus,
  solo boolean,
  begin_at timestamptz,
  end_at timestamptz,
  estimate_time text,
  difficulty bigint,
  description text,
  duration_days integer,
  terminating_after text,
  max_people integer,
  is_subscriptable boolean,
  team_behaviour text,
  commit text,
  created_at timestamptz,
  updated_at timestamptz,
  listed boolean not null default false,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.project_sessions (project_id);
create index on intra42.project_sessions (campus_id);
create index on intra42.project_sessions (cursus_id);
comment on table intra42.project_sessions is
  'How a project is offered on a campus and in a cursus, as the project''s own list has it.';
comment on column intra42.project_sessions.id is 'The API''s id of the session.';
comment on column intra42.project_sessions.project_id is 'The project in whose list it is.';
comment on column intra42.project_sessions.campus_id is
  'The campus it is for; null: all that have none of their own.';
comment on column intra42.project_sessions.cursus_id is
  'May be a cursus that the project itself does not list.';
comment on column intra42.project_sessions.solo is 'Whether the project is done alone.';
comment on column intra42.project_sessions.begin_at is 'From when it can be done; null: always.';
comment on column intra42.project_sessions.end_at is 'Until when it can be done; null: no end.';
comment on column intra42.project_sessions.estimate_time is
  'How long the project takes, such as 7 days; the API has shown numbers (seconds), too: stored as text.';
comment on column intra42.project_sessions.difficulty is
  'The experience it gives; the project has its own.';
comment on column intra42.project_sessions.description is 'What the session says of the project.';
comment on column intra42.project_sessions.duration_days is
  'Days from the beginning to the end; null: no limit.';
comment on column intra42.project_sessions.terminating_after is 'As the API has it, as text.';
comment on column intra42.project_sessions.max_people is 'How many may subscribe; null: no limit.';
comment on column intra42.project_sessions.is_subscriptable is 'Whether students can subscribe.';
comment on column intra42.project_sessions.team_behaviour is
  'How teams are made: user, ... (free text)';
comment on column intra42.project_sessions.commit is 'As the API has it.';
comment on column intra42.project_sessions.created_at is 'When the API says it was created.';
comment on column intra42.project_sessions.updated_at is 'When the API says it last changed.';
comment on column intra42.project_sessions.listed is
  'Whether the latest list of its project had it.';
comment on column intra42.project_sessions._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.project_sessions._run_id is 'The Airflow run that stored this version.';
comment on column intra42.project_sessions._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on column intra42.achievements.id is 'The API''s id of the achievement.';
comment on column intra42.achievements.name is 'Its name.';
comment on column intra42.achievements.description is 'What must be done for it.';
comment on column intra42.achievements.tier is 'none, easy, medium, hard or challenge.';
comment on column intra42.achievements.kind is 'project, social, pedagogy or scolarity.';
comment on column intra42.achievements.visible is
  'Whether it is visible; only such ones are listed.';
comment on column intra42.achievements.image is 'Path of its picture, without the host.';
comment on column intra42.achievements.nbr_of_success is
  'How often it must be done; null for once.';
comment on column intra42.achievements.users_url is 'The API''s address of those who have it.';
comment on column intra42.achievements.parent_id is
  'The achievement this one is a step of; not a foreign key, it may be unlisted.';
comment on column intra42.achievements.title is 'The title it gives, with %login as placeholder.';
comment on column intra42.achievements.listed is
  'Whether the last complete listing had it; false for stubs.';
comment on column intra42.achievements._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.achievements._run_id is 'The Airflow run that stored this version.';
comment on column intra42.achievements._seq is
  'The number of the request that showed this version; later ones win.';

create table intra42.campus_achievements (
  campus_id bigint not null references intra42.campuses,
  achievement_id bigint not null references intra42.achievements,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (campus_id, achievement_id)
);
create index on intra42.campus_achievements (achievement_id);
comment on table intra42.campus_achievements is
  'Which achievement can be earned on which campus; exact for configured, listed campuses.';
comment on column intra42.campus_achievements.campus_id is 'The campus.';
comment on column intra42.campus_achievements.achievement_id is 'The achievement.';
comment on column intra42.campus_achievements._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.campus_achievements._run_id is
  'The Airflow run that stored this version.';

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
comment on column intra42.coalitions.id is 'The API''s id of the coalition.';
comment on column intra42.coalitions.name is 'Its name.';
comment on column intra42.coalitions.slug is 'Its name as it stands in addresses.';
comment on column intra42.coalitions.image_url is 'Address of its picture.';
comment on column intra42.coalitions.cover_url is 'Address of its background picture.';
comment on column intra42.coalitions.color is 'Its colour in hexadecimal; some have stray blanks.';
comment on column intra42.coalitions.score is 'The coalition''s score; reset between seasons.';
comment on column intra42.coalitions.user_id is
  'The master of the coalition; not a foreign key, he may be out of scope.';
comment on column intra42.coalitions.bloc_id is 'The bloc (campus x cursus) it belongs to.';
comment on column intra42.coalitions.campus_id is 'The campus of its bloc.';
comment on column intra42.coalitions.cursus_id is 'The cursus of its bloc.';
comment on column intra42.coalitions.listed is
  'Whether the last complete listing had it; false for stubs.';
comment on column intra42.coalitions._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.coalitions._run_id is 'The Airflow run that stored this version.';
comment on column intra42.coalitions._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on table intra42.users is
  'Students of the scope. Once in, an account stays and is kept true, whatever it becomes.';
comment on column intra42.users.id is 'The API''s id of the account.';
comment on column intra42.users.email is 'E-mail address.';
comment on column intra42.users.login is 'Login; begins with 3b3- once the account is anonymised.';
comment on column intra42.users.first_name is 'First name.';
comment on column intra42.users.last_name is 'Last name.';
comment on column intra42.users.usual_full_name is 'The full name the user goes by.';
comment on column intra42.users.usual_first_name is
  'The first name the user goes by; mostly null.';
comment on column intra42.users.url is 'The API''s address of the account.';
comment on column intra42.users.phone is 'Telephone number; the word hidden for almost everybody.';
comment on column intra42.users.displayname is 'The name that Intra shows.';
comment on column intra42.users.kind is 'student, external (applicant) or admin.';
comment on column intra42.users.image_link is 'Address of the picture; null where there is none.';
comment on column intra42.users.image_large is 'Address of its large version.';
comment on column intra42.users.image_medium is 'Address of its medium version.';
comment on column intra42.users.image_small is 'Address of its small version.';
comment on column intra42.users.image_micro is 'Address of its smallest version.';
comment on column intra42.users.staff is 'Whether the account is one of staff.';
comment on column intra42.users.correction_point is 'Evaluation points; may be negative.';
comment on column intra42.users.pool_month is
  'Month of the piscine, as an English word in lower case; null where unknown to Intra.';
comment on column intra42.users.pool_year is 'Text, as the API has it.';
comment on column intra42.users.location is 'The seat, such as c1r4s7; null when away.';
comment on column intra42.users.wallet is 'Wallet points; may be negative.';
comment on column intra42.users.anonymize_date is 'When the account will be or was anonymised.';
comment on column intra42.users.data_erasure_date is 'When the data will be erased.';
comment on column intra42.users.created_at is 'When the API says the account was created.';
comment on column intra42.users.updated_at is
  'When the API says it last changed; active and the dates of erasure change without it.';
comment on column intra42.users.alumnized_at is 'When the user became an alumnus.';
comment on column intra42.users.alumni is 'Whether the user is an alumnus.';
comment on column intra42.users.active is
  'Recomputed by Intra without updated_at; true after each nightly run.';
comment on column intra42.users.campus_id is
  'Derived: the primary campus (highest membership id if several, null if none).';
comment on column intra42.users._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.users._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on column intra42.campus_users.id is 'The API''s id of the membership.';
comment on column intra42.campus_users.user_id is 'The user.';
comment on column intra42.campus_users.campus_id is 'The campus.';
comment on column intra42.campus_users.is_primary is 'Whether it is the user''s home campus.';
comment on column intra42.campus_users.created_at is 'When the API says it was created.';
comment on column intra42.campus_users.updated_at is 'When the API says it last changed.';
comment on column intra42.campus_users._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.campus_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.campus_users._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on table intra42.cursus_users is
  'Enrolments of the users in cursus_ids and refresh_cursus_ids.';
comment on column intra42.cursus_users.id is 'The API''s id of the enrolment.';
comment on column intra42.cursus_users.user_id is
  'The user; may have several enrolments in one cursus.';
comment on column intra42.cursus_users.cursus_id is 'The cursus.';
comment on column intra42.cursus_users.grade is
  'Learner, Cadet, Member, Transcender, ... (free text)';
comment on column intra42.cursus_users.level is
  'Recomputed by Intra without updated_at; kept true by refetching ongoing rows.';
comment on column intra42.cursus_users.skills is 'A list of {id, name, level}.';
comment on column intra42.cursus_users.begin_at is
  'Begin of the enrolment; in the future for those who registered early.';
comment on column intra42.cursus_users.end_at is
  'Null or in the future while the enrolment is ongoing.';
comment on column intra42.cursus_users.blackholed_at is 'The deadline; null where there is none.';
comment on column intra42.cursus_users.has_coalition is
  'Whether the user has a coalition in this cursus.';
comment on column intra42.cursus_users.created_at is 'When the API says it was created.';
comment on column intra42.cursus_users.updated_at is
  'When the API says it last changed; level changes without it.';
comment on column intra42.cursus_users._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.cursus_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.cursus_users._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on column intra42.projects_users.id is
  'The API''s id; a retry keeps it, an attempt deleted and made again gets another.';
comment on column intra42.projects_users.user_id is 'The user.';
comment on column intra42.projects_users.project_id is 'The project.';
comment on column intra42.projects_users.cursus_id is
  'Derived: the first of cursus_ids that the record''s own list contains.';
comment on column intra42.projects_users.campus_id is 'Derived: the user''s campus_id.';
comment on column intra42.projects_users.final_mark is
  '0 to 125, -42 for cheating; on a retry the previous mark until the new one.';
comment on column intra42.projects_users.status is 'in_progress, finished, ... (free text)';
comment on column intra42.projects_users.validated is
  'Null until marked; on a retry the previous value until the new mark.';
comment on column intra42.projects_users.occurrence is
  '0 at the first try, 1 at the first retry, ...';
comment on column intra42.projects_users.current_team_id is
  'The API''s id of the team of the current try; teams are not mirrored.';
comment on column intra42.projects_users.marked is
  'Whether it is marked; on a retry the previous value until the new mark.';
comment on column intra42.projects_users.marked_at is 'When it was marked; null on some old rows.';
comment on column intra42.projects_users.retriable_at is 'From when it can be tried again.';
comment on column intra42.projects_users.created_at is 'When the API says it was created.';
comment on column intra42.projects_users.updated_at is
  'When the API says it last changed; giving up does not move it.';
comment on column intra42.projects_users._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.projects_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.projects_users._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on table intra42.achievements_users is
  'Achievements the users earned or progress towards.';
comment on column intra42.achievements_users.id is 'The API''s id.';
comment on column intra42.achievements_users.user_id is 'The user.';
comment on column intra42.achievements_users.achievement_id is 'The achievement.';
comment on column intra42.achievements_users.cursus_id is
  'Derived: the first of cursus_ids, then refresh_cursus_ids, in which the user has a row.';
comment on column intra42.achievements_users.nbr_of_success is
  'Progress; compare with achievements.nbr_of_success.';
comment on column intra42.achievements_users.created_at is 'When the API says it was created.';
comment on column intra42.achievements_users.updated_at is
  'When the API says it last changed; whether each step moves it is unknown.';
comment on column intra42.achievements_users._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.achievements_users._run_id is
  'The Airflow run that stored this version.';
comment on column intra42.achievements_users._seq is
  'The number of the request that showed this version; later ones win.';

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
comment on column intra42.coalitions_users.id is 'The API''s id of the membership.';
comment on column intra42.coalitions_users.coalition_id is 'The coalition.';
comment on column intra42.coalitions_users.user_id is 'The user.';
comment on column intra42.coalitions_users.campus_id is 'Derived: the coalition''s campus_id.';
comment on column intra42.coalitions_users.score is
  'Recomputed by Intra without updated_at; true after each nightly run.';
comment on column intra42.coalitions_users.rank is
  'Within the whole coalition; as untrustworthy as the API''s.';
comment on column intra42.coalitions_users.created_at is 'When the API says it was created.';
comment on column intra42.coalitions_users.updated_at is
  'When the API says it last changed; score and rank change without it.';
comment on column intra42.coalitions_users._synced_at is
  'The API''s clock when it showed this version.';
comment on column intra42.coalitions_users._run_id is 'The Airflow run that stored this version.';
comment on column intra42.coalitions_users._seq is
  'The number of the request that showed this version; later ones win.';

-- What is noted of accounts, and goes with them.

create table intra42.audits (
  resource text not null,
  user_id bigint not null references intra42.users on delete cascade,
  audited_at timestamptz not null,
  seq bigint not null,
  primary key (resource, user_id)
);
comment on table intra42.audits is
  'When the API was last seen to have exactly the mirror''s rows of a user, by table.';
comment on column intra42.audits.resource is 'The table.';
comment on column intra42.audits.user_id is 'The user whose rows were counted.';
comment on column intra42.audits.audited_at is 'The API''s clock.';
comment on column intra42.audits.seq is 'The number of the request that showed it.';

create table intra42.vanished_users (
  user_id bigint primary key references intra42.users on delete cascade,
  run_id text not null,
  seq bigint
);
comment on table intra42.vanished_users is
  'Users that one complete answer of each listing no longer showed; erased after a second one.';
comment on column intra42.vanished_users.seq is
  'The number of the first request that no longer showed the account.';

create table intra42.anonymised_users (
  user_id bigint primary key references intra42.users on delete cascade
);
comment on table intra42.anonymised_users is
  'Users whose stored login begins with 3b3- in clear text, which a hashed one no longer shows.';

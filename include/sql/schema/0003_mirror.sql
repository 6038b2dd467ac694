-- The mirror itself: what the API has, in the order in which foreign keys allow to store it. What each
-- table and column is says the catalogue.

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

create table intra42.cursus_projects (
  cursus_id bigint not null references intra42.cursus,
  project_id bigint not null references intra42.projects,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (cursus_id, project_id)
);
create index on intra42.cursus_projects (project_id);

create table intra42.campus_projects (
  campus_id bigint not null references intra42.campuses,
  project_id bigint not null references intra42.projects,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (campus_id, project_id)
);
create index on intra42.campus_projects (project_id);

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

create table intra42.campus_achievements (
  campus_id bigint not null references intra42.campuses,
  achievement_id bigint not null references intra42.achievements,
  _synced_at timestamptz not null,
  _run_id text,
  primary key (campus_id, achievement_id)
);
create index on intra42.campus_achievements (achievement_id);

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

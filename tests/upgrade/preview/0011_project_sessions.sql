-- The sessions of projects: what differs by campus and cursus, such as the time a project takes.

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
comment on column intra42.project_sessions.project_id is 'The project in whose list it is.';
comment on column intra42.project_sessions.campus_id is 'The campus it is for; null: all that have none of their own.';
comment on column intra42.project_sessions.cursus_id is 'May be a cursus that the project itself does not list.';
comment on column intra42.project_sessions.solo is 'Whether the project is done alone.';
comment on column intra42.project_sessions.begin_at is 'From when it can be done; null: always.';
comment on column intra42.project_sessions.end_at is 'Until when it can be done; null: no end.';
comment on column intra42.project_sessions.estimate_time is
  'How long the project takes, such as 7 days; the API has shown numbers (seconds), too: stored as text.';
comment on column intra42.project_sessions.difficulty is 'The experience it gives; the project has its own.';
comment on column intra42.project_sessions.duration_days is 'Days from the beginning to the end; null: no limit.';
comment on column intra42.project_sessions.terminating_after is 'As the API has it, as text.';
comment on column intra42.project_sessions.max_people is 'How many may subscribe; null: no limit.';
comment on column intra42.project_sessions.is_subscriptable is 'Whether students can subscribe.';
comment on column intra42.project_sessions.team_behaviour is 'How teams are made: user, ... (free text)';
comment on column intra42.project_sessions.commit is 'As the API has it.';
comment on column intra42.project_sessions.listed is 'Whether the latest list of its project had it.';
comment on column intra42.project_sessions._synced_at is 'The API''s clock when it showed this version.';
comment on column intra42.project_sessions._run_id is 'The Airflow run that stored this version.';
comment on column intra42.project_sessions._seq is 'The number of the request that showed this version; later ones win.';

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

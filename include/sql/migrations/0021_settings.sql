-- The settings that the last run used: where one is missing later, nobody has asked for its default.

create table intra42.settings (
  variable text primary key,
  used jsonb not null check (jsonb_typeof(used) = 'object'),
  dag_id text,
  run_id text,
  changed_at timestamptz not null default now()
);
comment on table intra42.settings is
  'What the last run by each Airflow variable mirrored and might delete. Which columns are hashed is in hashed_columns.';
comment on column intra42.settings.variable is 'The Airflow variable, such as intra42_config.';
comment on column intra42.settings.used is 'The settings, by their names in the variable; those not known are absent.';
comment on column intra42.settings.dag_id is 'The DAG that used them first; null: known from its watermarks.';
comment on column intra42.settings.run_id is 'The run that used them first; null as above.';
comment on column intra42.settings.changed_at is 'When they were used first, by the database''s clock.';

-- What a warehouse from before tells: campuses narrow it if watermarks of campuses moved last. A cursus
-- without a row has no watermark, so only one that the defaults do not have says something.
with placed as (
  select
    resource,
    split_part(scope, '/', 1) as campus,
    split_part(scope, '/', 2)::bigint as cursus,
    updated_at
  from intra42.sync_state
  where scope ~ '^(all|[0-9]+)/[0-9]+$'
),
last as (
  select
    max(updated_at) filter (where campus = 'all') as network,
    max(updated_at) filter (where campus <> 'all') as campuses
  from placed
)
insert into intra42.settings (variable, used)
select
  'intra42_config',
  jsonb_strip_nulls(
    jsonb_build_object(
      'campus_ids',
      case
        when last.campuses > coalesce(last.network, '-infinity')
        then (select jsonb_agg(distinct campus::bigint) from placed where campus <> 'all')
        else '[]'
      end,
      'cursus_ids',
      (select jsonb_agg(distinct cursus) from placed where resource = 'projects_users')
    )
  )
from last
where exists (select 1 from placed);

alter table intra42.tombstones add column purged boolean not null default false;
comment on column intra42.tombstones.purged is
  'Whether the settings no longer asked for the row: the API may still have it, and is not asked for it.';

-- From the last schema before the baseline, that of 0019_shorter_silence, to the baseline. Such a database
-- was never released; a mirror that somebody tried out is kept. May be applied to one that has part of it.

create table if not exists intra42.settings (
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
where exists (select 1 from placed)
on conflict do nothing;

alter table intra42.tombstones add column if not exists purged boolean not null default false;
comment on column intra42.tombstones.purged is
  'Whether the settings no longer asked for the row: the API may still have it, and is not asked for it.';

create table if not exists intra42.audit_positions (
  listing text primary key,
  after bigint not null check (after >= 0),
  moved_at timestamptz not null
);
comment on table intra42.audit_positions is
  'How far the nightly audit has compared a listing of students with the mirror; the next night goes on there.';
comment on column intra42.audit_positions.listing is 'The path of the listing, with its campuses.';
comment on column intra42.audit_positions.after is
  'The largest id that was compared; 0: the next night begins at the beginning.';
comment on column intra42.audit_positions.moved_at is 'The API''s clock.';

comment on column intra42.parked_records.payload is
  'Only the fields the catalogue reads; nothing where nobody knows whom the record is about.';

alter table intra42.refresh_chunks
  add column if not exists absent_seqs bigint[],
  drop constraint if exists refresh_chunks_absent_seqs_check,
  add constraint refresh_chunks_absent_seqs_check
    check (cardinality(absent_seqs) = cardinality(absent));
comment on column intra42.refresh_chunks.absent_seqs is
  'For each of the absent ids, the number of the request that did not return it; null if unknown.';

alter table intra42.vanished_users add column if not exists seq bigint;
comment on column intra42.vanished_users.seq is
  'The number of the first request that no longer showed the account.';

alter table intra42.sync_state add column if not exists before timestamptz;
comment on column intra42.sync_state.before is
  'The watermark before this one: where reading goes on if this one turns out to be later than the API''s clock.';

alter table intra42.jobs add column if not exists moves boolean not null default true;
comment on column intra42.jobs.moves is
  'Whether the watermarks move at its end: not where a run about some campuses or cursus left rows out that no other window would read.';

alter table intra42.dag_runs
  add column if not exists heard_at timestamptz,
  add column if not exists agreed boolean not null default false,
  add column if not exists last_seq bigint not null default 0;
comment on column intra42.dag_runs.clock is
  'The API''s clock as a task of this run heard it last, by the Date of its answers.';
comment on column intra42.dag_runs.heard_at is 'When that was, by the database''s clock.';
comment on column intra42.dag_runs.agreed is 'Whether two answers in a row have shown that clock.';
comment on column intra42.dag_runs.last_seq is 'A request of this run had this number; later ones may be some more.';
update intra42.dag_runs set heard_at = opened_at where clock is not null and heard_at is null;

-- Made beside an index of the same name that is gone.
alter index if exists intra42.cursus_users_levels_observed_at_idx1
  rename to cursus_users_levels_observed_at_idx;

-- The table verifications had another name once, which PostgreSQL 18 keeps in those of its constraints.
do $$
declare
  old name;
begin
  for old in
    select conname from pg_constraint
    where conrelid = 'intra42.verifications'::regclass and conname like 'checks\_%'
  loop
    execute format(
      'alter table intra42.verifications rename constraint %I to %I',
      old, regexp_replace(old, '^checks', 'verifications')
    );
  end loop;
end
$$;

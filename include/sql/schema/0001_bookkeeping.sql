-- What the mirror knows about itself: its runs, how far they have read, what they have seen, deleted and
-- parked. Times are the API's clock unless a comment says otherwise.

create table intra42.sync_runs (
  id bigint generated always as identity primary key,
  dag_id text not null,
  run_id text not null,
  task_id text not null,
  map_index integer not null default -1,
  try_number integer not null default 1,
  resource text,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  status text not null default 'running',
  requests bigint not null default 0,
  retries_429 bigint not null default 0,
  pages bigint not null default 0,
  records bigint not null default 0,
  bytes bigint not null default 0,
  inserted bigint not null default 0,
  updated bigint not null default 0,
  unchanged bigint not null default 0,
  deleted bigint not null default 0,
  parked bigint not null default 0,
  window_from timestamptz,
  window_to timestamptz
);
create index sync_runs_by_run on intra42.sync_runs (dag_id, run_id, task_id);
create index sync_runs_by_start on intra42.sync_runs (started_at);
create index sync_runs_by_success on intra42.sync_runs (dag_id, task_id, started_at)
where status = 'success' and window_to is null;
comment on table intra42.sync_runs is
  'One row per task attempt that talked to the API or changed data';
comment on column intra42.sync_runs.id is 'Number of the attempt';
comment on column intra42.sync_runs.dag_id is 'DAG';
comment on column intra42.sync_runs.run_id is 'Run of the DAG';
comment on column intra42.sync_runs.task_id is 'Task';
comment on column intra42.sync_runs.map_index is 'Which of a mapped task, -1 if not mapped';
comment on column intra42.sync_runs.try_number is 'Which attempt of the task, from 1';
comment on column intra42.sync_runs.resource is 'Resource of the catalogue, if it was about one';
comment on column intra42.sync_runs.started_at is 'Start, database clock';
comment on column intra42.sync_runs.finished_at is 'End, database clock; null while running';
comment on column intra42.sync_runs.status is 'running, or how it ended';
comment on column intra42.sync_runs.requests is
  'Requests sent to /v2, retries and refused ones included; counted before each is sent';
comment on column intra42.sync_runs.retries_429 is 'Requests refused with 429 and sent again';
comment on column intra42.sync_runs.pages is 'Pages believed';
comment on column intra42.sync_runs.records is 'Records received';
comment on column intra42.sync_runs.bytes is 'Bytes of the decoded answers';
comment on column intra42.sync_runs.inserted is 'Rows inserted';
comment on column intra42.sync_runs.updated is 'Rows changed';
comment on column intra42.sync_runs.unchanged is 'Rows received that were already so';
comment on column intra42.sync_runs.deleted is 'Rows deleted, each with its tombstone';
comment on column intra42.sync_runs.parked is 'Records parked';
comment on column intra42.sync_runs.window_from is 'Start of the window read, API clock';
comment on column intra42.sync_runs.window_to is 'End of the window read; null if open';

create table intra42.sync_run_tables (
  sync_run_id bigint not null references intra42.sync_runs on delete cascade,
  resource text not null,
  inserted bigint not null default 0,
  updated bigint not null default 0,
  deleted bigint not null default 0,
  primary key (sync_run_id, resource)
);
comment on table intra42.sync_run_tables is
  'The rows an attempt wrote, by table: a task also stores parents of its rows and users who enter.';
comment on column intra42.sync_run_tables.sync_run_id is 'The attempt.';
comment on column intra42.sync_run_tables.resource is 'The table it wrote to.';
comment on column intra42.sync_run_tables.inserted is 'Rows inserted.';
comment on column intra42.sync_run_tables.updated is 'Rows changed.';
comment on column intra42.sync_run_tables.deleted is 'Rows deleted, each with its tombstone.';

create table intra42.dag_runs (
  dag_id text not null,
  run_id text not null,
  first_seq bigint not null,
  clock timestamptz,
  opened_at timestamptz not null default now(),
  heard_at timestamptz,
  agreed boolean not null default false,
  last_seq bigint not null default 0,
  primary key (dag_id, run_id)
);
create index dag_runs_by_start on intra42.dag_runs (opened_at);
comment on table intra42.dag_runs is 'One row per run of our DAGs, written by its first task.';
comment on column intra42.dag_runs.first_seq is
  'Requests with a larger number were sent in this run or later.';
comment on column intra42.dag_runs.clock is
  'The API''s clock as a task of this run heard it last, by the Date of its answers.';
comment on column intra42.dag_runs.heard_at is 'When that was, by the database''s clock.';
comment on column intra42.dag_runs.agreed is 'Whether two answers in a row have shown that clock.';
comment on column intra42.dag_runs.last_seq is
  'A request of this run had this number; later ones may be some more.';

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
comment on column intra42.settings.used is
  'The settings, by their names in the variable; those not known are absent.';
comment on column intra42.settings.dag_id is
  'The DAG that used them first; null: known from its watermarks.';
comment on column intra42.settings.run_id is 'The run that used them first; null as above.';
comment on column intra42.settings.changed_at is
  'When they were used first, by the database''s clock.';

create table intra42.hashed_columns (
  resource text not null,
  column_name text not null,
  fingerprint text,
  from_seq bigint not null,
  rewritten_to bigint,
  reread boolean not null,
  version bigint not null,
  changed_at timestamptz not null default now(),
  primary key (resource, column_name)
);
comment on table intra42.hashed_columns is
  'How the values of a column are stored since hash_columns or hash_secret last changed.';
comment on column intra42.hashed_columns.fingerprint is
  'Of the key; null: the column is in clear text again.';
comment on column intra42.hashed_columns.from_seq is
  'What later requests showed is stored so; what earlier ones showed, once it is rewritten.';
comment on column intra42.hashed_columns.rewritten_to is
  'Rows up to this id are rewritten; null: all of them, or there is nothing to rewrite.';
comment on column intra42.hashed_columns.reread is
  'Whether earlier values have to be read again, because only the API has their clear text.';
comment on column intra42.hashed_columns.version is
  'Grows with each change; whoever works by an older one may not write any more.';

create table intra42.sync_state (
  dag_id text not null,
  resource text not null,
  scope text not null,
  watermark timestamptz not null,
  updated_at timestamptz not null default now(),
  before timestamptz,
  primary key (dag_id, resource, scope)
);
comment on table intra42.sync_state is
  'One watermark per DAG, resource and scope. A scope is one campus (or all) and one cursus, such as 67/21.';
comment on column intra42.sync_state.dag_id is 'The DAG whose watermark it is.';
comment on column intra42.sync_state.resource is 'The table.';
comment on column intra42.sync_state.scope is
  'A campus or all, and a cursus where the table has one: 67/21, all.';
comment on column intra42.sync_state.watermark is
  'Everything that changed before this moment of the API''s clock is in the mirror or parked.';
comment on column intra42.sync_state.updated_at is
  'When the watermark moved, by the database''s clock.';
comment on column intra42.sync_state.before is
  'The watermark before this one: where reading goes on if this one turns out to be later than the API''s clock.';

create table intra42.jobs (
  id bigint generated always as identity primary key,
  dag_id text not null,
  resource text not null,
  kind text not null check (kind in ('window', 'explicit', 'first', 'full')),
  scopes text[] not null default '{}',
  window_from timestamptz,
  window_to timestamptz,
  run_id text not null,
  clock timestamptz,
  answered boolean not null default false,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  moves boolean not null default true
);
create index on intra42.jobs (dag_id, resource) where finished_at is null;
comment on table intra42.jobs is
  'A reading of one resource that ends in a watermark: its legs and queued users must all be done first.';
comment on column intra42.jobs.clock is
  'The API''s clock before the first row was read: the watermark once the job is done.';
comment on column intra42.jobs.answered is
  'Whether any answer held a row; only then the watermark moves.';
comment on column intra42.jobs.moves is
  'Whether the watermarks move at its end: not where a run about some campuses or cursus left rows out that no other window would read.';

create table intra42.legs (
  job_id bigint not null references intra42.jobs on delete cascade,
  number integer not null,
  path text not null,
  params jsonb not null,
  scopes text[] not null default '{}',
  after bigint not null default 0,
  page integer not null default 1,
  clock timestamptz,
  answered boolean not null default false,
  done boolean not null default false,
  highest bigint not null default 2147483647,
  primary key (job_id, number)
);
comment on table intra42.legs is
  'One listing of a job, and how far it has been read: the checkpoint of each page.';
comment on column intra42.legs.after is
  'The largest id already stored; the next page starts behind it.';
comment on column intra42.legs.highest is
  'The listing is read up to this id; another leg has the rest.';

create table intra42.history_queue (
  dag_id text not null,
  resource text not null,
  user_id bigint not null,
  run_id text not null,
  primary key (dag_id, resource, user_id)
);
comment on table intra42.history_queue is
  'Users whose rows of a resource are still to be read by user id, whatever their updated_at.';

create table intra42.history_chunks (
  dag_id text not null,
  resource text not null,
  reader text not null default '',
  users bigint[] not null,
  after bigint not null default 0,
  first_user bigint not null,
  part integer not null default 0,
  highest bigint not null default 2147483647,
  primary key (dag_id, resource, reader, first_user, part)
);
comment on table intra42.history_chunks is
  'The queued users that are being read together, and how far.';
comment on column intra42.history_chunks.reader is
  'The run, where it reads an explicit window; else empty.';
comment on column intra42.history_chunks.after is
  'The largest row id already stored; the next page starts behind it.';
comment on column intra42.history_chunks.first_user is
  'The first of its users, by which a chunk is known.';
comment on column intra42.history_chunks.part is
  'Which part of the chunk; its users leave the queue with the last one.';
comment on column intra42.history_chunks.highest is
  'The part is read up to this id; another part has the rest.';

create table intra42.refresh_requests (
  dag_id text not null,
  user_id bigint not null,
  planned_by text,
  primary key (dag_id, user_id)
);
comment on table intra42.refresh_requests is
  'Users with an attempt in a window: their ongoing rows are refetched first, because Intra recomputes their level.';
comment on column intra42.refresh_requests.planned_by is
  'The run that refetches them; they leave when all its chunks are done.';

create table intra42.refresh_chunks (
  dag_id text not null,
  run_id text not null,
  chunk integer not null,
  ids bigint[] not null,
  absent bigint[] not null default '{}',
  done boolean not null default false,
  planned_at timestamptz not null default now(),
  absent_seqs bigint[],
  primary key (dag_id, run_id, chunk),
  constraint refresh_chunks_absent_seqs_check
    check (cardinality(absent_seqs) = cardinality(absent))
);
comment on table intra42.refresh_chunks is 'The ids a run refetches, one row per request.';
comment on column intra42.refresh_chunks.absent is
  'Ids that the first complete answer did not return.';
comment on column intra42.refresh_chunks.absent_seqs is
  'For each of the absent ids, the number of the request that did not return it; null if unknown.';

create table intra42.outsiders (
  user_id bigint primary key,
  checked_at timestamptz not null
);
comment on table intra42.outsiders is
  'Users that were looked up and are not in scope; not asked again for 7 days on weak evidence.';

create table intra42.listing_totals (
  path text primary key,
  total bigint not null,
  seen_at timestamptz not null
);
comment on table intra42.listing_totals is
  'How many rows a listing had when it was last asked: tells which of two questions is cheaper.';
comment on column intra42.listing_totals.path is 'The path of the listing.';
comment on column intra42.listing_totals.total is 'Its rows, from X-Total.';
comment on column intra42.listing_totals.seen_at is 'The API''s clock.';

create table intra42.verifications (
  resource text not null,
  id bigint not null,
  checked_at timestamptz not null,
  seq bigint not null,
  primary key (resource, id)
) with (fillfactor = 70);
comment on table intra42.verifications is
  'When a row was last shown unchanged, if it was since it was written.';
comment on column intra42.verifications.seq is
  'The number of the request that saw it; an older one cannot undo it.';

create table intra42.audit_positions (
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

create table intra42.tombstones (
  number bigint generated always as identity primary key,
  resource text not null,
  id bigint not null,
  row jsonb not null,
  reason text not null,
  dag_id text,
  run_id text not null,
  scope text,
  deleted_at timestamptz not null,
  seq bigint not null,
  restored_at timestamptz,
  row_seq bigint,
  purged boolean not null default false
);
create index on intra42.tombstones (resource, id);
create index on intra42.tombstones (resource, deleted_at);
comment on table intra42.tombstones is
  'Every row ever deleted, whole. Link rows (cursus_projects, ...) have their parent''s id.';
comment on column intra42.tombstones.number is 'Number of the tombstone.';
comment on column intra42.tombstones.resource is 'The table the row was in.';
comment on column intra42.tombstones.id is 'The id it had.';
comment on column intra42.tombstones.row is
  'The whole last row; of an erased account nothing but the ids.';
comment on column intra42.tombstones.reason is 'Why it was deleted.';
comment on column intra42.tombstones.dag_id is 'The DAG that deleted it.';
comment on column intra42.tombstones.run_id is 'The run that deleted it.';
comment on column intra42.tombstones.scope is
  'The user''s campus or none, and the cursus where the table has one: what the guard counts by.';
comment on column intra42.tombstones.deleted_at is 'When it was deleted, API clock.';
comment on column intra42.tombstones.seq is 'The number of the request that found the row gone.';
comment on column intra42.tombstones.restored_at is
  'When the API showed the id again; null while it is gone.';
comment on column intra42.tombstones.row_seq is
  'The number of the request that showed the row as it is kept here.';
comment on column intra42.tombstones.purged is
  'Whether the settings no longer asked for the row: the API may still have it, and is not asked for it.';

create table intra42.parked_records (
  number bigint generated always as identity primary key,
  resource text not null,
  id bigint,
  fingerprint text not null,
  payload jsonb not null,
  reason text not null,
  run_id text not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  attempts integer not null default 1,
  wait_runs integer not null default 1,
  last_run_id text not null,
  seq bigint,
  unique (resource, fingerprint)
);
comment on table intra42.parked_records is
  'Records that could not be merged. Retried after 1, 2, 4 ... runs, at least weekly; removed once merged.';
comment on column intra42.parked_records.number is 'Number of the parked record.';
comment on column intra42.parked_records.resource is 'The table it belongs to.';
comment on column intra42.parked_records.id is
  'The record''s id; null where it has none that can be used.';
comment on column intra42.parked_records.fingerprint is
  'The id, or a hash of the payload where there is none.';
comment on column intra42.parked_records.payload is
  'Only the fields the catalogue reads; nothing where nobody knows whom the record is about.';
comment on column intra42.parked_records.reason is 'Why it could not be stored.';
comment on column intra42.parked_records.run_id is 'The run that met it first.';
comment on column intra42.parked_records.first_seen_at is 'When it was met first, API clock.';
comment on column intra42.parked_records.last_seen_at is
  'When it was last met or tried again, API clock.';
comment on column intra42.parked_records.attempts is 'How often storing it was tried.';
comment on column intra42.parked_records.wait_runs is
  'How many runs of the resource until the next retry.';
comment on column intra42.parked_records.last_run_id is
  'The run that met it or tried it again last.';
comment on column intra42.parked_records.seq is
  'The number of the request that showed the record last.';

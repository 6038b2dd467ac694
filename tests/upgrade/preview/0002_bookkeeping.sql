-- What the mirror knows about itself: watermarks, unfinished reads, checks, tombstones, parked
-- records. Times are the API's clock unless a comment says otherwise.

create table intra42.sync_state (
  dag_id text not null,
  resource text not null,
  scope text not null,
  watermark timestamptz not null,
  updated_at timestamptz not null default now(),
  primary key (dag_id, resource, scope)
);
comment on table intra42.sync_state is
  'One watermark per DAG, resource and scope. A scope is one campus (or all) and one cursus, such as 67/21.';
comment on column intra42.sync_state.watermark is
  'Everything that changed before this moment of the API''s clock is in the mirror or parked.';
comment on column intra42.sync_state.updated_at is 'When the watermark moved, by the database''s clock.';

create table intra42.dag_runs (
  dag_id text not null,
  run_id text not null,
  first_seq bigint not null,
  clock timestamptz,
  opened_at timestamptz not null default now(),
  primary key (dag_id, run_id)
);
comment on table intra42.dag_runs is 'One row per run of our DAGs, written by its first task.';
comment on column intra42.dag_runs.first_seq is 'Requests with a larger number were sent in this run or later.';
comment on column intra42.dag_runs.clock is 'The latest Date header any task of this run received.';

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
  finished_at timestamptz
);
create index on intra42.jobs (dag_id, resource) where finished_at is null;
comment on table intra42.jobs is
  'A reading of one resource that ends in a watermark: its legs and queued users must all be done first.';
comment on column intra42.jobs.clock is
  'The API''s clock before the first row was read: the watermark once the job is done.';
comment on column intra42.jobs.answered is 'Whether any answer held a row; only then the watermark moves.';

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
  primary key (job_id, number)
);
comment on table intra42.legs is 'One listing of a job, and how far it has been read: the checkpoint of each page.';
comment on column intra42.legs.after is 'The largest id already stored; the next page starts behind it.';

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
  primary key (dag_id, resource, reader)
);
comment on table intra42.history_chunks is 'The queued users that are being read together, and how far.';
comment on column intra42.history_chunks.reader is 'The run, where it reads an explicit window; else empty.';
comment on column intra42.history_chunks.after is 'The largest row id already stored; the next page starts behind it.';

create table intra42.outsiders (
  user_id bigint primary key,
  checked_at timestamptz not null
);
comment on table intra42.outsiders is
  'Users that were looked up and are not in scope; not asked again for 7 days on weak evidence.';

create table intra42.checks (
  resource text not null,
  id bigint not null,
  checked_at timestamptz not null,
  seq bigint not null,
  primary key (resource, id)
) with (fillfactor = 70);
comment on table intra42.checks is 'When a row was last seen to be as the mirror has it, changed or not.';
comment on column intra42.checks.seq is 'The number of the request that saw it; an older one cannot undo it.';

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
  restored_at timestamptz
);
create index on intra42.tombstones (resource, id);
create index on intra42.tombstones (resource, deleted_at);
comment on table intra42.tombstones is
  'Every row ever deleted, whole. Link rows (cursus_projects, ...) have their parent''s id.';
comment on column intra42.tombstones.seq is 'The number of the request that found the row gone.';
comment on column intra42.tombstones.restored_at is 'When the API showed the id again; null while it is gone.';

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
  unique (resource, fingerprint)
);
comment on table intra42.parked_records is
  'Records that could not be merged. Retried after 1, 2, 4 ... runs, at least weekly; removed once merged.';
comment on column intra42.parked_records.fingerprint is 'The id, or a hash of the payload where there is none.';
comment on column intra42.parked_records.payload is 'Only the fields the catalogue reads.';
comment on column intra42.parked_records.wait_runs is 'How many runs of the resource until the next retry.';

create table intra42.refresh_requests (
  dag_id text not null,
  user_id bigint not null,
  planned_by text,
  primary key (dag_id, user_id)
);
comment on table intra42.refresh_requests is
  'Users with an attempt in a window: their ongoing rows are refetched first, because Intra recomputes their level.';
comment on column intra42.refresh_requests.planned_by is 'The run that refetches them; they leave when all its chunks are done.';

create table intra42.refresh_chunks (
  dag_id text not null,
  run_id text not null,
  chunk integer not null,
  ids bigint[] not null,
  absent bigint[] not null default '{}',
  done boolean not null default false,
  planned_at timestamptz not null default now(),
  primary key (dag_id, run_id, chunk)
);
comment on table intra42.refresh_chunks is 'The ids a run refetches, one row per request.';
comment on column intra42.refresh_chunks.absent is 'Ids that the first complete answer did not return.';

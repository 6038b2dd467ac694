-- The first of the further tables, and what the API refuses to show.

create table intra42.skills (
  id bigint primary key,
  name text,
  slug text,
  created_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);

create table intra42.refusals (
  resource text primary key,
  path text not null,
  said text not null,
  since timestamptz not null,
  asked_at timestamptz not null,
  run_id text not null
);
comment on column intra42.sync_runs.status is
  'running, or how it ended; skipped: the API refuses to show the table';
comment on table intra42.refusals is
  'Tables whose endpoint the API refuses to show to this application; each nightly run asks again.';
comment on column intra42.refusals.resource is 'The table.';
comment on column intra42.refusals.path is 'The path that was refused.';
comment on column intra42.refusals.said is 'What the task says of it.';
comment on column intra42.refusals.since is 'Since when, by the API''s clock.';
comment on column intra42.refusals.asked_at is 'When it was asked for last, by the API''s clock.';
comment on column intra42.refusals.run_id is 'The run that asked last.';

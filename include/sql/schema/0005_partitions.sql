-- One kind of queue instead of three: jobs are read partition by partition, and an inbox says whose rows
-- are still to be read. What was queued stays queued. Users whose rows were half read are read from the
-- start, and what a run has planned to refetch is planned again by the next one.

alter table intra42.jobs
  add column own boolean not null default false,
  drop constraint jobs_kind_check,
  add constraint jobs_kind_check
    check (kind in ('window', 'explicit', 'first', 'full', 'history', 'refetch'));
update intra42.jobs set own = true where kind = 'explicit';
comment on table intra42.jobs is
  'One reading of one resource. A window, a first load and a full refresh end in a watermark.';
comment on column intra42.jobs.own is
  'Whether only the run that began it reads it: an explicit window, or what a run refetches.';

create table intra42.partitions (
  job_id bigint not null references intra42.jobs on delete cascade,
  number integer not null,
  path text not null default '',
  params jsonb not null default '{}',
  scopes text[] not null default '{}',
  ids bigint[] not null default '{}',
  after bigint not null default 0,
  highest bigint not null default 2147483647,
  page integer not null default 1,
  clock timestamptz,
  answered boolean not null default false,
  absent bigint[] not null default '{}',
  absent_seqs bigint[] not null default '{}',
  done boolean not null default false,
  primary key (job_id, number),
  constraint partitions_absent_check check (cardinality(absent_seqs) = cardinality(absent))
);
comment on table intra42.partitions is
  'One question of a job, and how far its answer is stored: the checkpoint of each page.';
comment on column intra42.partitions.ids is
  'Whom or what it asks for: users whose rows are read, or the rows of a refetch. Empty for a listing.';
comment on column intra42.partitions.after is
  'The largest id already stored; the next page starts behind it.';
comment on column intra42.partitions.highest is
  'It is read up to this id; another partition has the rest.';
comment on column intra42.partitions.absent is
  'Ids that the first complete answer did not return.';
comment on column intra42.partitions.absent_seqs is
  'For each of the absent ids, the number of the request that did not return it.';

insert into intra42.partitions
  (job_id, number, path, params, scopes, after, highest, page, clock, answered, done)
select job_id, number, path, params, scopes, after, highest, page, clock, answered, done
from intra42.legs;
drop table intra42.legs;

create table intra42.to_read (
  dag_id text not null,
  resource text not null,
  user_id bigint not null,
  why text not null check (why in ('history', 'refetch')),
  run_id text,
  primary key (dag_id, resource, user_id, why)
);
comment on table intra42.to_read is
  'Users whose rows of a resource are still to be read, whatever their updated_at.';
comment on column intra42.to_read.why is
  'history: all their rows, by user id; refetch: their open rows, by id, because Intra recomputes them now.';
comment on column intra42.to_read.run_id is
  'The run that queued them for their history, or that has planned the refetch; null: none yet.';

insert into intra42.to_read (dag_id, resource, user_id, why, run_id)
select dag_id, resource, user_id, 'history', run_id from intra42.history_queue
union all
select dag_id, 'cursus_users', user_id, 'refetch', null from intra42.refresh_requests;
drop table intra42.history_queue, intra42.history_chunks, intra42.refresh_requests, intra42.refresh_chunks;

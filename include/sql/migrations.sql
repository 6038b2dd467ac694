-- How the schema is applied.

-- name: lock
-- One run at a time; released at commit. The number is arbitrary, but ours.
select pg_advisory_xact_lock(4242, 1)

-- name: lock_timeout
-- How long the statements of this transaction wait for a lock.
set local lock_timeout = {limit}

-- name: create_schema
-- An administrator may have made the schema for a role that may do no more than create in it: where it
-- is there, nothing is asked for, neither the right to create one nor to describe it.
do $$
begin
  if to_regnamespace('intra42') is null then
    create schema intra42;
    comment on schema intra42 is
      'A mirror of the 42 Intra API, kept by the DAGs intra42_nightly and intra42_incremental.';
  end if;
  if to_regclass('intra42.schema_migrations') is null then
    create table intra42.schema_migrations (
      name text primary key,
      applied_at timestamptz not null default now()
    );
  end if;
  alter table intra42.schema_migrations add column if not exists checksum text;
  comment on table intra42.schema_migrations is
    'Which files of include/sql were applied: those of schema/ once, the others again when they change.';
end
$$

-- name: applied
-- Which files were applied; an error before the first one. Before the baseline there were no checksums.
select m.name, to_jsonb(m) ->> 'checksum' from intra42.schema_migrations as m

-- name: adopt
-- A schema that had all of the old names is at the baseline.
with named as (
  insert into intra42.schema_migrations (name) select unnest(%(names)s::text[]) on conflict do nothing
)
delete from intra42.schema_migrations where name <> all(%(names)s::text[])

-- name: begin
-- No row: it was applied, and is the same.
insert into intra42.schema_migrations as m (name, checksum)
values (%(name)s, %(checksum)s)
on conflict (name) do update set checksum = excluded.checksum, applied_at = now()
where m.checksum is distinct from excluded.checksum

-- name: describe_table
-- What a table is, as the catalogue says.
comment on table {table} is {text}

-- name: describe_column
-- What a column is, as the catalogue says.
comment on column {column} is {text}

-- name: checks
-- A row that a request wrote says itself when it was shown (_synced_at, _seq): only those that were shown
-- unchanged are noted elsewhere. The view has the rows of all tables of the catalogue.
create or replace view intra42.checks as
with shown as (
  {shown}
)
select
  s.resource,
  s.id,
  case when v.seq > s._seq then v.checked_at else s._synced_at end as checked_at,
  greatest(s._seq, v.seq) as seq
from shown as s
left join intra42.verifications as v on v.resource = s.resource and v.id = s.id
where greatest(s._seq, v.seq) > 0;
comment on view intra42.checks is
  'When a row was last seen to be as the mirror has it, changed or not.';
comment on column intra42.checks.resource is 'The table.';
comment on column intra42.checks.id is 'The row''s id.';
comment on column intra42.checks.checked_at is 'The API''s clock when it last showed the row so.';
comment on column intra42.checks.seq is 'The number of the request that showed it.'

-- name: shown
-- The rows of one table for the view `checks`.
select {resource}::text as resource, id, _synced_at, _seq from {table}

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

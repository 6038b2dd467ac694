-- `create schema if not exists` asks for the right to create one even where it is there already.
do $$
begin
  if to_regnamespace('intra42') is null then
    create schema intra42;
  end if;
end
$$;
comment on schema intra42 is 'A mirror of the 42 Intra API, kept by the DAGs intra42_nightly and intra42_incremental.';
create table if not exists intra42.schema_migrations (
  name text primary key,
  applied_at timestamptz not null default now()
);
comment on table intra42.schema_migrations is 'Which files of include/sql/migrations were applied.';

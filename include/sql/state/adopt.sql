-- A schema that had all of the old names is at the baseline.
with named as (
  insert into intra42.schema_migrations (name) select unnest(%(names)s::text[]) on conflict do nothing
)
delete from intra42.schema_migrations where name <> all(%(names)s::text[])

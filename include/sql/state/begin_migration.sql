insert into intra42.schema_migrations (name) values (%(name)s) on conflict do nothing

-- Which migrations were applied; an error before the first one.
select name from intra42.schema_migrations

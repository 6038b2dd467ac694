-- Which files were applied; an error before the first one. Before the baseline there were no checksums.
select m.name, to_jsonb(m) ->> 'checksum' from intra42.schema_migrations as m

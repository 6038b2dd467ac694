-- No row: it was applied, and is the same.
insert into intra42.schema_migrations as m (name, checksum)
values (%(name)s, %(checksum)s)
on conflict (name) do update set checksum = excluded.checksum, applied_at = now()
where m.checksum is distinct from excluded.checksum

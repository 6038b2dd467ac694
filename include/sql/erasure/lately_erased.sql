select
  (select count(*) from intra42.users),
  (
    select count(*)
    from intra42.tombstones
    where resource = 'users' and deleted_at > %(since)s and restored_at is null and not purged
  )

select
  (select count(*) from intra42.users),
  count(*) filter (where t.deleted_at > %(day)s),
  count(*)
from intra42.tombstones as t
where t.resource = 'users' and t.deleted_at > %(week)s and t.restored_at is null
  and not t.purged

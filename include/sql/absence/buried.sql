-- What was deleted since then and can come back by itself. Rows of an account that was erased come
-- back with the account, which is asked for in their stead; what was purged is not wanted back.
select distinct t.id
from intra42.tombstones as t
where t.resource = %(resource)s
  and t.restored_at is null
  and not t.purged
  and t.deleted_at >= %(since)s
  and (
    t.resource = 'users'
    or exists (select 1 from intra42.users as u where u.id = (t.row ->> 'user_id')::bigint)
  )
order by t.id

select distinct id
from intra42.tombstones
where resource = %(resource)s and restored_at is null and not purged and deleted_at >= %(since)s
order by id

select distinct id
from intra42.tombstones
where resource = 'cursus_users' and restored_at is null and deleted_at >= %(since)s
order by id

delete from intra42.parked_records
where resource = %(resource)s and id = any(%(ids)s::bigint[])

select coalesce(sum(c.rows), 0)::bigint as total, coalesce(sum(c.restored), 0)::bigint as restored
from unnest(%(tables)s::text[]) as t (name)
cross join lateral (
  select count(*) as rows, count(restored_at) as restored
  from intra42.tombstones
  where resource = t.name and deleted_at > now() - %(span)s::interval
) as c

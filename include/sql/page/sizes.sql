-- How many rows the server thinks each table has; 0 where it has not looked yet.
select t.name, greatest(coalesce(c.reltuples, 0), 0)::bigint as estimate
from unnest(%(tables)s::text[]) as t (name)
left join pg_class as c on c.oid = to_regclass(format('intra42.%%I', t.name))

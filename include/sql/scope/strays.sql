-- Mirrored users whom a campus filter does not show: they have moved, or have no primary campus.
select id
from intra42.users
where campus_id is null or campus_id <> all(%(campuses)s::bigint[])
order by id

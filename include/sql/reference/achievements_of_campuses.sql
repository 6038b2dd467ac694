select campus_id, count(*)
from intra42.campus_achievements
where campus_id = any(%(campuses)s::bigint[])
group by campus_id

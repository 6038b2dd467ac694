-- Ongoing enrolments, begun or not; first those of users with an attempt in the window, then by how
-- long ago they were verified: by the number of the request, which no wrong clock can change.
select e.id, r.user_id is not null as urgent
from intra42.cursus_users as e
left join intra42.refresh_requests as r on r.dag_id = %(dag_id)s and r.user_id = e.user_id
left join intra42.verifications as v on v.resource = 'cursus_users' and v.id = e.id
where e.cursus_id = any(%(cursus)s::bigint[]) and (e.end_at is null or e.end_at >= %(since)s)
order by urgent desc, greatest(e._seq, v.seq), e.id

-- How long ago ongoing enrolments were verified: seconds for half of them, and for 95 of 100.
select percentile_cont(array[0.5, 0.95]) within group (
  order by greatest(extract(epoch from %(now)s - greatest(v.checked_at, e._synced_at)), 0)
)
from intra42.cursus_users as e
left join intra42.verifications as v on v.resource = 'cursus_users' and v.id = e.id
where e.cursus_id = any(%(cursus)s::bigint[]) and (e.end_at is null or e.end_at >= %(now)s)

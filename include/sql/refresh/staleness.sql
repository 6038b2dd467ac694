-- How long ago ongoing enrolments were verified: seconds for half of them, and for 95 of 100. The
-- later request says when, whatever its answer had for a time.
with seen as (
  select case when v.seq > e._seq then v.checked_at else e._synced_at end as at
  from intra42.cursus_users as e
  left join intra42.verifications as v on v.resource = 'cursus_users' and v.id = e.id
  where e.cursus_id = any(%(cursus)s::bigint[]) and (e.end_at is null or e.end_at >= %(now)s)
),
chosen as (
  -- Times compare faster than spans, so the spans of these two are all that is reckoned.
  select percentile_disc(array[0.5, 0.95]) within group (order by at desc) as times from seen
)
select case
  when times is not null then array[
    greatest(extract(epoch from %(now)s::timestamptz - times[1]), 0)::float8,
    greatest(extract(epoch from %(now)s::timestamptz - times[2]), 0)::float8
  ]
end
from chosen

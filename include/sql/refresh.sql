-- Ongoing enrolments that are asked for by id.

-- name: request
-- Users with a new attempt: their ongoing enrolments are refetched first.
insert into intra42.to_read as q (dag_id, resource, user_id, why)
select %(dag_id)s, %(resource)s, user_id, 'refetch' from unnest(%(users)s::bigint[]) as user_id
on conflict (dag_id, resource, user_id, why) do update set run_id = null where q.run_id is not null

-- name: plan_requests
-- This run refetches all who were asked for.
update intra42.to_read
set run_id = %(run_id)s
where dag_id = %(dag_id)s and resource = %(resource)s and why = 'refetch'

-- name: ongoing
-- Ongoing enrolments, begun or not; first those of users with an attempt in the window, then by how
-- long ago they were verified: by the number of the request, which no wrong clock can change.
select e.id, r.user_id is not null as urgent
from {target} as e
left join intra42.to_read as r
  on r.dag_id = %(dag_id)s and r.resource = %(resource)s and r.user_id = e.user_id and r.why = 'refetch'
left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
where e.cursus_id = any(%(cursus)s::bigint[]) and (e.{until} is null or e.{until} >= %(since)s)
order by urgent desc, greatest(e._seq, v.seq), e.id

-- name: unseen_open
-- Open rows that nothing in this run has shown.
select e.id
from {target} as e
left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
where (e.{until} is null or e.{until} >= %(now)s)
  and greatest(e._seq, v.seq) < (
    select r.first_seq
    from intra42.dag_runs as r
    where r.dag_id = %(dag_id)s and r.run_id = %(run_id)s
  )
order by e.id

-- name: planned
-- What this run has planned to refetch.
select id
from intra42.jobs
where dag_id = %(dag_id)s and resource = %(resource)s and kind = 'refetch' and run_id = %(run_id)s

-- name: end_partition
-- A request is done; what it did not return, and the number of the answer that lacked it.
update intra42.partitions
set absent = %(absent)s, absent_seqs = %(absent_seqs)s, done = true
where job_id = %(job_id)s and number = %(number)s

-- name: outcome
-- How many ids were asked for, and which did not come back, each with the number of the request.
select
  (
    select coalesce(sum(cardinality(p.ids)), 0)::bigint
    from intra42.partitions as p
    where p.job_id = %(job_id)s
  ),
  absent.ids,
  absent.seqs
from (
  select array_agg(gone.id) as ids, array_agg(gone.seq) as seqs
  from intra42.partitions as p, unnest(p.absent, p.absent_seqs) as gone (id, seq)
  where p.job_id = %(job_id)s
) as absent

-- name: end_requests
-- All partitions are done: the levels of these users have been looked at. The partitions stay: the task
-- may be cleared, and looks a second time once more.
with ended as (
  update intra42.jobs
  set finished_at = now()
  where dag_id = %(dag_id)s and resource = %(resource)s and kind = 'refetch' and run_id = %(run_id)s
)
delete from intra42.to_read
where dag_id = %(dag_id)s and resource = %(resource)s and why = 'refetch' and run_id = %(run_id)s

-- name: forget_plans
-- What this run has planned before, and old runs.
delete from intra42.jobs
where dag_id = %(dag_id)s and resource = %(resource)s and kind = 'refetch'
  and (run_id = %(run_id)s or created_at < now() - interval '7 days')

-- name: staleness
-- How long ago ongoing enrolments were verified: seconds for half of them, and for 95 of 100. The
-- later request says when, whatever its answer had for a time.
with seen as (
  select case when v.seq > e._seq then v.checked_at else e._synced_at end as at
  from {target} as e
  left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
  where e.cursus_id = any(%(cursus)s::bigint[]) and (e.{until} is null or e.{until} >= %(now)s)
),
chosen as (
  -- Times compare faster than spans, so only the spans of these two are computed.
  select percentile_disc(array[0.5, 0.95]) within group (order by at desc) as times from seen
)
select case
  when times is not null then array[
    greatest(extract(epoch from %(now)s::timestamptz - times[1]), 0)::float8,
    greatest(extract(epoch from %(now)s::timestamptz - times[2]), 0)::float8
  ]
end
from chosen

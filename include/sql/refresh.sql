-- Ongoing enrolments that are asked for by id.

-- name: request
-- Users with a new attempt: their ongoing enrolments are refetched first.
insert into intra42.refresh_requests as r (dag_id, user_id)
select %(dag_id)s, user_id from unnest(%(users)s::bigint[]) as user_id
on conflict (dag_id, user_id) do update set planned_by = null where r.planned_by is not null

-- name: plan_requests
-- This run refetches all who were asked for.
update intra42.refresh_requests set planned_by = %(run_id)s where dag_id = %(dag_id)s

-- name: ongoing
-- Ongoing enrolments, begun or not; first those of users with an attempt in the window, then by how
-- long ago they were verified: by the number of the request, which no wrong clock can change.
select e.id, r.user_id is not null as urgent
from {target} as e
left join intra42.refresh_requests as r on r.dag_id = %(dag_id)s and r.user_id = e.user_id
left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
where e.cursus_id = any(%(cursus)s::bigint[]) and (e.{until} is null or e.{until} >= %(since)s)
order by urgent desc, greatest(e._seq, v.seq), e.id

-- name: add_chunk
-- The ids of one request.
insert into intra42.refresh_chunks (dag_id, run_id, chunk, ids)
values (%(dag_id)s, %(run_id)s, %(chunk)s, %(ids)s)

-- name: chunks
-- Those of some requests that are not done.
select chunk, ids
from intra42.refresh_chunks
where dag_id = %(dag_id)s and run_id = %(run_id)s and chunk = any(%(chunks)s::integer[]) and not done
order by chunk

-- name: end_chunk
-- A request is done; what it did not return, and the number of the answer that lacked it.
update intra42.refresh_chunks
set absent = %(absent)s, absent_seqs = %(absent_seqs)s, done = true
where dag_id = %(dag_id)s and run_id = %(run_id)s and chunk = %(chunk)s

-- name: outcome
-- How many ids were asked for, and which did not come back, each with the number of the request.
select
  (
    select coalesce(sum(cardinality(c.ids)), 0)::bigint
    from intra42.refresh_chunks as c
    where c.dag_id = %(dag_id)s and c.run_id = %(run_id)s
  ),
  absent.ids,
  absent.seqs
from (
  select array_agg(gone.id) as ids, array_agg(coalesce(gone.seq, 0)) as seqs
  from intra42.refresh_chunks as c, unnest(c.absent, c.absent_seqs) as gone (id, seq)
  where c.dag_id = %(dag_id)s and c.run_id = %(run_id)s
) as absent

-- name: end_requests
-- All chunks are done: the levels of these users have been looked at.
delete from intra42.refresh_requests where dag_id = %(dag_id)s and planned_by = %(run_id)s

-- name: forget_chunks
-- The plan of this run, and old ones.
delete from intra42.refresh_chunks
where dag_id = %(dag_id)s and (run_id = %(run_id)s or planned_at < now() - interval '7 days')

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

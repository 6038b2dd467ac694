-- What is still to be read, how far it was read, and the watermark in which that ends.

-- name: watermarks
-- How far each DAG has read some scopes of a table.
select dag_id, scope, watermark
from intra42.sync_state
where resource = %(resource)s and scope = any(%(scopes)s::text[]) and dag_id = any(%(dags)s::text[])

-- name: watermark_before
-- Where reading goes on if the present watermarks of these scopes are wrong: at the earliest that they
-- had before, or when they were written, by the difference of the API's clock and ours.
select min(coalesce(s.before, s.updated_at + (r.clock - r.heard_at)))
from intra42.sync_state as s
left join intra42.last_heard as r on true
where s.dag_id = %(dag_id)s and s.resource = %(resource)s and s.scope = any(%(scopes)s::text[])

-- name: unfinished_jobs
-- What belongs to a run is read by that run only; all else goes on where any run left it.
select id, kind, scopes, window_from, window_to, run_id
from intra42.jobs
where dag_id = %(dag_id)s and resource = %(resource)s and finished_at is null
  and kind = any(%(kinds)s::text[]) and own = %(own)s and (run_id = %(run_id)s or not own)
order by id

-- name: begin_job
-- A reading of one table.
insert into intra42.jobs (dag_id, resource, kind, scopes, window_from, window_to, run_id, moves, own)
values (
  %(dag_id)s, %(resource)s, %(kind)s, %(scopes)s, %(window_from)s, %(window_to)s, %(run_id)s, %(moves)s,
  %(own)s
)
returning id

-- name: begin_partition
-- One more question of a job, or what is left of one beyond an id.
insert into intra42.partitions (job_id, number, path, params, scopes, ids, after, highest, page)
select
  %(job_id)s, coalesce(max(number), 0) + 1, %(path)s, %(params)s, %(scopes)s, %(ids)s, %(after)s,
  %(highest)s, %(page)s
from intra42.partitions
where job_id = %(job_id)s
returning number

-- name: next_partition
-- The next question of a job that is not done (null: of these numbers), other than those being read.
select number, path, params, scopes, ids, after, highest, page
from intra42.partitions
where job_id = %(job_id)s and not done and number <> all(%(being_read)s::integer[])
  and (%(numbers)s::integer[] is null or number = any(%(numbers)s::integer[]))
order by number
limit 1

-- name: move_partition
-- The position after a page, in the transaction that stores its rows.
update intra42.partitions
set
  after = %(after)s,
  highest = %(highest)s,
  page = %(page)s,
  done = %(done)s,
  clock = least(clock, %(clock)s),
  answered = answered or %(answered)s
where job_id = %(job_id)s and number = %(number)s

-- name: drop_partitions
-- Listings of a job for scopes that nobody wants any more; the job no longer speaks for those.
with dropped as (
  delete from intra42.partitions
  where job_id = %(job_id)s
    and not done
    and cardinality(scopes) > 0
    and not scopes && %(wanted)s::text[]
  returning scopes
)
update intra42.jobs
set scopes = array(
  select scope
  from unnest(scopes) as scope
  where scope not in (select unnest(d.scopes) from dropped as d)
)
where id = %(job_id)s and exists (select 1 from dropped)

-- name: job_outcome
-- The watermark of each scope: the clock of the first answer of the job, where its listing was not
-- empty. None where the job was about a part of what the watermark speaks of.
select p.scopes, (select min(every.clock) from intra42.partitions as every where every.job_id = j.id)
from intra42.jobs as j
join intra42.partitions as p on p.job_id = j.id and p.answered and cardinality(p.scopes) > 0
where j.id = %(job_id)s and j.moves
union all
select j.scopes, j.clock
from intra42.jobs as j
where j.id = %(job_id)s and j.moves and j.answered and cardinality(j.scopes) > 0

-- name: move_watermark
-- Only forward, except that a watermark later than the API's clock was wrong. The one before is kept:
-- should this one turn out to be wrong, reading goes on from there.
insert into intra42.sync_state as s (dag_id, resource, scope, watermark, updated_at)
select %(dag_id)s, %(resource)s, scope, %(watermark)s, now()
from unnest(%(scopes)s::text[]) as scope
on conflict (dag_id, resource, scope) do update set
  before = case when s.watermark > %(now)s then s.before else s.watermark end,
  watermark = excluded.watermark,
  updated_at = excluded.updated_at
where s.watermark < excluded.watermark or s.watermark > %(now)s

-- name: finish_job
-- A job is done, its partitions are forgotten, and so are old jobs.
with purged as (
  delete from intra42.jobs where finished_at < now() - interval '30 days'
),
emptied as (
  delete from intra42.partitions where job_id = %(job_id)s
)
update intra42.jobs set finished_at = now() where id = %(job_id)s

-- name: move_waiting_jobs
-- A page of queued users speaks for the first loads and full refreshes that wait for them.
update intra42.jobs
set clock = least(clock, %(clock)s), answered = answered or %(answered)s
where dag_id = %(dag_id)s and resource = %(resource)s and finished_at is null
  and kind in ('first', 'full')

-- name: enqueue
-- Users whose rows of some tables are to be read by user id.
insert into intra42.to_read (dag_id, resource, user_id, why, run_id)
select %(dag_id)s, resource, user_id, 'history', %(run_id)s
from unnest(%(resources)s::text[]) as resource, unnest(%(users)s::bigint[]) as user_id
on conflict do nothing

-- name: enqueue_all
-- All mirrored users, or those of some campuses, with the strays of others: who is at home on none of
-- them. Those whose rows are half read are read from the start.
with restarted as (
  delete from intra42.partitions as p
  using intra42.jobs as j
  where j.id = p.job_id and j.dag_id = %(dag_id)s and j.resource = %(resource)s
    and j.kind = 'history' and not j.own and j.finished_at is null
)
insert into intra42.to_read (dag_id, resource, user_id, why, run_id)
select %(dag_id)s, %(resource)s, u.id, 'history', %(run_id)s
from intra42.users as u
where %(campuses)s::bigint[] is null
  or u.campus_id = any(%(campuses)s::bigint[])
  or u.campus_id is null
  or u.campus_id <> all(%(strays_of)s::bigint[])
on conflict (dag_id, resource, user_id, why) do update set run_id = excluded.run_id

-- name: queued
-- How many users are still queued.
select count(distinct user_id)
from intra42.to_read
where resource = %(resource)s and why = 'history' and (dag_id = %(dag_id)s or %(all_dags)s)
  and (%(only_run)s::text is null or run_id = %(only_run)s)

-- name: next_users
-- The next queued users that nobody is reading, each with the rows of theirs that we know of.
with chunk as (
  select distinct q.user_id
  from intra42.to_read as q
  where q.resource = %(resource)s and q.why = 'history' and (q.dag_id = %(dag_id)s or %(all_dags)s)
    and (%(only_run)s::text is null or q.run_id = %(only_run)s)
    and q.user_id > %(behind)s
    and q.user_id <> all(%(being_read)s::bigint[])
  order by q.user_id
  limit 100
)
select chunk.user_id, (select count(*) from {target} as mine where mine.{owner} = chunk.user_id)
from chunk
order by chunk.user_id

-- name: ends_users
-- Whether all other questions about these users are done.
select not exists (
  select 1
  from intra42.partitions
  where job_id = %(job_id)s and number <> %(number)s and ids = %(users)s::bigint[] and not done
)

-- name: users_are_read
-- Users leave the queue.
delete from intra42.to_read
where resource = %(resource)s and why = 'history' and user_id = any(%(users)s::bigint[])
  and (dag_id = %(dag_id)s or %(all_dags)s)
  and (%(only_run)s::text is null or run_id = %(only_run)s)

-- name: leave_out_entered
-- Whoever entered in this run had their memberships read then: they need not be read again. The first
-- load then counts as begun when the first of them was shown; an answer takes less than two minutes.
with entered as (
  select m.user_id, min(c.checked_at) as shown_at
  from {target} as m
  join intra42.checks as c on c.resource = %(resource)s and c.id = m.id
  where c.seq >= (
    select r.first_seq
    from intra42.dag_runs as r
    where r.dag_id = %(dag_id)s and r.run_id = %(run_id)s
  )
  group by m.user_id
),
begun as (
  update intra42.jobs
  set clock = (select min(shown_at) from entered) - interval '2 minutes', answered = true
  where dag_id = %(dag_id)s and resource = %(resource)s and kind = 'first'
    and finished_at is null and clock is null and exists (select 1 from entered)
)
delete from intra42.to_read as q
using entered
where q.dag_id = %(dag_id)s and q.resource = %(resource)s and q.user_id = entered.user_id
  and q.why = 'history'

-- name: listing_total
-- How many rows a listing had when it was last asked.
select total from intra42.listing_totals where path = %(path)s

-- name: remember_listing_total
-- How many rows a listing has.
insert into intra42.listing_totals (path, total, seen_at)
values (%(path)s, %(total)s, %(seen_at)s)
on conflict (path) do update set total = excluded.total, seen_at = excluded.seen_at
-- Unless a later answer was first; a time that has not come yet is none.
where intra42.listing_totals.seen_at <= excluded.seen_at
  or intra42.listing_totals.seen_at > excluded.seen_at + interval '1 hour'

-- name: refused
-- The tables that the API last refused to show, and why.
select resource, said from intra42.refusals

-- name: note_refusal
-- The API refuses to show a table.
insert into intra42.refusals as r (resource, path, said, since, asked_at, run_id)
values (%(resource)s, %(path)s, %(said)s, %(asked_at)s, %(asked_at)s, %(run_id)s)
on conflict (resource) do update set
  path = excluded.path, said = excluded.said, asked_at = excluded.asked_at, run_id = excluded.run_id

-- name: forget_refusal
-- The API shows the table again.
delete from intra42.refusals where resource = %(resource)s

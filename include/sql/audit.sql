-- Whether the API has the rows that the mirror has.

-- name: next_users
-- The users to count next: those whose enrolments moved since (Intra touches them when an attempt is
-- deleted) or of whom a row was found gone, which may have made up for a missing one; then those
-- counted longest ago. Whom one night counts together is drawn, so that no two errors make up for
-- each other twice.
with robbed as (
  select (t.row ->> 'user_id')::bigint as user_id, max(t.seq) as seq
  from intra42.tombstones as t
  where t.resource = %(resource)s and t.deleted_at > %(since)s
  group by 1
)
select u.id
from intra42.users as u
left join intra42.audits as a on a.resource = %(resource)s and a.user_id = u.id
left join robbed on robbed.user_id = u.id
where coalesce(a.seq, 0) < %(first_seq)s
order by
  coalesce(robbed.seq > a.seq, false)
  or exists (
    select 1
    from intra42.cursus_users as e
    where e.user_id = u.id and e.updated_at > a.audited_at
  ) desc,
  date_trunc('day', a.audited_at) nulls first,
  md5(%(run_id)s || '/' || u.id)
limit %(most)s

-- name: mirrored
-- The API is asked for these cursus or campuses only; the mirror may have rows that left them.
select mine.id, mine.user_id
from {target} as mine
where mine.user_id = any(%(users)s::bigint[])
  and mine.id > %(after)s and mine.id <= %(highest)s
  and (%(ours)s::bigint[] is null or {column} = any(%(ours)s::bigint[]))

-- name: mark
-- These users' rows of a table are exactly the API's, as a request has shown.
insert into intra42.audits as a (resource, user_id, audited_at, seq)
select %(resource)s, u.id, %(audited_at)s, %(seq)s
from intra42.users as u
where u.id = any(%(users)s::bigint[])
on conflict (resource, user_id) do update set audited_at = excluded.audited_at, seq = excluded.seq
where a.seq < excluded.seq

-- name: mark_read
-- All rows of these users were read. Where the mirror has none beside those that this run was shown,
-- the API has exactly the mirror's rows: nothing is left to count.
insert into intra42.audits as a (resource, user_id, audited_at, seq)
select %(resource)s, u.id, %(audited_at)s, %(seq)s
from intra42.users as u
where u.id = any(%(users)s::bigint[])
  and not exists (
    select 1
    from {target} as mine
    left join intra42.verifications as v on v.resource = %(resource)s and v.id = mine.id
    where mine.user_id = u.id and greatest(mine._seq, v.seq) < (
      select r.first_seq
      from intra42.dag_runs as r
      where r.dag_id = %(dag_id)s and r.run_id = %(run_id)s
    )
  )
order by u.id
on conflict (resource, user_id) do update set
  audited_at = excluded.audited_at, seq = excluded.seq
where a.seq < excluded.seq

-- name: progress
-- How many users there are, how many were counted, and when the one counted longest ago was.
select count(*), count(a.user_id), min(a.audited_at)
from intra42.users as u
left join intra42.audits as a on a.resource = %(resource)s and a.user_id = u.id

-- name: oldest_checks
-- Rows verified longest ago, by the number of the request: no wrong clock can change that order. Asked
-- once a night, for as many rows as the night can read. Of a table with more than 200,000 rows each
-- night looks at a part, in turn: all parts are alike, and many times as large as what is read.
with parts as materialized (
  select greatest((reltuples / greatest(200000, 10 * %(limit)s))::bigint, 1) as number
  from pg_class
  where oid = %(target)s::regclass
),
-- The planner takes an inequality for a third of the rows, but an equation for next to none.
verified as materialized (
  select id, seq
  from intra42.verifications
  where resource = %(resource)s
    and abs(id %% (select number from parts) - %(turn)s %% (select number from parts)) < 1
)
select e.id
from {target} as e
left join verified as v on v.id = e.id
where abs(e.id %% (select number from parts) - %(turn)s %% (select number from parts)) < 1
  and greatest(e._seq, v.seq) < %(first_seq)s
order by greatest(e._seq, v.seq), e.id
limit %(limit)s

-- name: expected_students
-- Mirrored users that a listing of students of this cursus, and of these campuses, shows behind an id,
-- and accounts that had to be put aside.
select
  (
    select count(*)
    from intra42.users as u
    where u.kind = 'student'
      and u.alumni is false
      and u.id > %(after)s
      and not exists (select 1 from intra42.anonymised_users as a where a.user_id = u.id)
      and (%(campuses)s::bigint[] is null or u.campus_id = any(%(campuses)s::bigint[]))
      and exists (
        select 1
        from intra42.cursus_users as e
        where e.user_id = u.id and e.cursus_id = %(cursus_id)s
      )
  ) + (
    select count(*)
    from intra42.parked_records as p
    where p.resource = 'users'
      and p.id > %(after)s
      and not exists (select 1 from intra42.users as u where u.id = p.id)
  )

-- name: just_listed
-- Whether this run has read the listings of students from their beginning to their end.
select 1
from intra42.jobs
where dag_id = %(dag_id)s and run_id = %(run_id)s and resource = 'users'
  and kind in ('first', 'full') and finished_at is not null
limit 1

-- name: position
-- Where the night before stopped in a listing.
select after from intra42.audit_positions where listing = %(listing)s

-- name: move_position
-- Where the next night goes on in a listing.
insert into intra42.audit_positions (listing, after, moved_at)
values (%(listing)s, %(after)s, %(moved_at)s)
on conflict (listing) do update set after = excluded.after, moved_at = excluded.moved_at

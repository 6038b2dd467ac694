-- People whose account is gone, or whom nobody asks for any more.

-- name: note_vanished
-- Users that no listing of this run has shown.
insert into intra42.vanished_users as v (user_id, run_id, seq)
select user_id, %(run_id)s, %(seq)s from unnest(%(users)s::bigint[]) as user_id
on conflict (user_id) do update set run_id = excluded.run_id, seq = excluded.seq

-- name: vanished
-- Users that this run has not found yet, and the request that first lacked each.
select user_id, coalesce(seq, 0) from intra42.vanished_users where run_id = %(run_id)s order by user_id

-- name: forget_vanished
-- All of them were looked for.
delete from intra42.vanished_users

-- name: knows_any
-- Whether the table has any row: without one nobody can be a witness.
select exists (select 1 from {target})

-- name: lately_erased
-- How many users there are, and how many were erased in a day and in a week.
select
  (select count(*) from intra42.users),
  count(*) filter (where t.deleted_at > %(day)s),
  count(*)
from intra42.tombstones as t
where t.resource = 'users' and t.deleted_at > %(week)s and t.restored_at is null
  and not t.purged

-- name: scrub_anonymised
-- Old values of accounts that are anonymised now, in what was put aside, buried or recorded.
with anonymised as (
  select user_id as id from intra42.anonymised_users
),
parked as (
  delete from intra42.parked_records as p
  using anonymised as a
  where p.resource = 'users' and p.id = a.id
),
forgotten as (
  delete from intra42.cursus_users_levels as h using anonymised as a where h.user_id = a.id
)
update intra42.tombstones as t
set row = jsonb_build_object('id', t.id)
from anonymised as a
where t.resource = 'users' and t.id = a.id and t.row <> jsonb_build_object('id', t.id)

-- name: hold_users
-- Nobody adds a row of these accounts until they are gone.
select u.id from intra42.users as u where u.id = any(%(users)s::bigint[]) order by u.id for update

-- name: hold_rows
-- Wait for whoever is just showing these rows, so that the delete after this sees what they wrote.
with held as (
  select v.id
  from {target} as e
  join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
  where e.{key} = any(%(ids)s::bigint[])
  order by v.id
  for update of v
)
select count(*)
from (
  select e.id
  from {target} as e
  left join held on held.id = e.id
  where e.{key} = any(%(ids)s::bigint[])
  order by e.id
  for update of e
) as rows

-- name: remove_rows
-- The tombstones keep nothing but ids.
with gone as (
  delete from {target} as e where e.{key} = any(%(ids)s::bigint[]) returning e.id, e.user_id
),
unchecked as (
  delete from intra42.verifications as v using gone where v.resource = %(resource)s and v.id = gone.id
),
forgotten as (
  delete from intra42.cursus_users_levels as h
  using gone
  where %(resource)s = 'cursus_users' and h.cursus_user_id = gone.id
),
scrubbed as (
  update intra42.tombstones as t
  set
    row = jsonb_build_object('id', gone.id, 'user_id', gone.user_id),
    purged = t.purged or %(purged)s
  from gone
  where t.resource = %(resource)s and t.id = gone.id
),
unparked as (
  delete from intra42.parked_records as p using gone where p.resource = %(resource)s and p.id = gone.id
)
insert into intra42.tombstones
  (resource, id, row, reason, dag_id, run_id, deleted_at, seq, purged)
select
  %(resource)s, gone.id, jsonb_build_object('id', gone.id, 'user_id', gone.user_id),
  %(reason)s, %(dag_id)s, %(run_id)s, %(deleted_at)s, %(seq)s, %(purged)s
from gone

-- name: remove_users
-- The accounts, after their rows, and all that is known of them elsewhere.
with gone as (
  delete from intra42.users as u where u.id = any(%(ids)s::bigint[]) returning u.id, u.campus_id
),
unchecked as (
  delete from intra42.verifications as v using gone where v.resource = 'users' and v.id = gone.id
),
unqueued as (
  delete from intra42.to_read as q using gone where q.user_id = gone.id
),
unknown as (
  delete from intra42.outsiders as o using gone where o.user_id = gone.id
),
forgotten as (
  delete from intra42.cursus_users_levels as h using gone where h.user_id = gone.id
),
unparked as (
  delete from intra42.parked_records as p
  using gone
  where (p.resource = 'users' and p.id = gone.id)
    or coalesce(p.payload ->> 'user.id', p.payload ->> 'user_id') = gone.id::text
),
scrubbed as (
  update intra42.tombstones as t
  set row = jsonb_build_object('id', t.id, 'user_id', gone.id), purged = t.purged or %(purged)s
  from gone
  where t.row ->> 'user_id' = gone.id::text or (t.resource = 'users' and t.id = gone.id)
)
insert into intra42.tombstones
  (resource, id, row, reason, dag_id, run_id, scope, deleted_at, seq, purged)
select
  'users', gone.id, jsonb_build_object('id', gone.id), %(reason)s, %(dag_id)s, %(run_id)s,
  coalesce(gone.campus_id::text, 'none'), %(deleted_at)s, %(seq)s, %(purged)s
from gone

-- name: draw
-- A number that no request has: what an earlier one shows stays away, a later one brings it back.
select nextval('intra42.request_seq')

-- name: unfinished_loads
-- What decides who is in scope, and is still being read.
select resource
from (
  select resource
  from intra42.jobs
  where dag_id = %(dag_id)s and finished_at is null and kind in ('window', 'first', 'full')
  union
  select resource from intra42.to_read where why = 'history'
) as waiting
where resource in ('users', 'campus_users', 'cursus_users')
order by resource

-- name: users_outside
-- Users at home on none of the campuses (null: all are wanted), or enrolled in none of the cursus; and
-- how many users there are.
select
  coalesce(
    array_agg(u.id order by u.id) filter (
      where (%(campuses)s::bigint[] is not null
          and (u.campus_id is null or u.campus_id <> all(%(campuses)s::bigint[])))
        or not exists (
          select 1
          from intra42.cursus_users as e
          where e.user_id = u.id and e.cursus_id = any(%(cursus)s::bigint[])
        )
    ),
    array[]::bigint[]
  ),
  count(*)
from intra42.users as u

-- name: rows_outside
-- Rows of other cursus of those who stay, and how many rows there are.
select
  coalesce(
    array_agg(e.id order by e.id) filter (
      where (e.cursus_id is null or e.cursus_id <> all(%(cursus)s::bigint[]))
        and e.user_id <> all(%(users)s::bigint[])
    ),
    array[]::bigint[]
  ),
  count(*)
from {target} as e

-- Records that cannot be stored.

-- name: park
-- A record that could not be stored, or could not be stored once more.
insert into intra42.parked_records as p
  (resource, id, fingerprint, payload, reason, run_id, first_seen_at, last_seen_at, last_run_id, seq)
values
  (%(resource)s, %(id)s, %(fingerprint)s, %(payload)s, %(reason)s, %(run_id)s, %(seen_at)s,
   %(seen_at)s, %(run_id)s, %(seq)s)
on conflict (resource, fingerprint) do update set
  payload = excluded.payload,
  reason = excluded.reason,
  seq = excluded.seq,
  last_seen_at = excluded.last_seen_at,
  -- A retry of this run has already been counted.
  attempts = p.attempts + (p.last_run_id <> excluded.last_run_id)::integer,
  last_run_id = excluded.last_run_id

-- name: unpark
-- Records that turned out to be out of scope: nothing of them is kept.
delete from intra42.parked_records
where resource = %(resource)s
  and fingerprint = any(%(ids)s::text[])
  and coalesce(seq, 0) <= %(seq)s

-- name: due
-- Parked records whose turn it is, their next wait twice as long. A wait counts runs of the
-- resource; a week is the longest.
with counted as (
  update intra42.parked_records
  set
    wait_runs = case when wait_runs <= 1 or last_seen_at < %(week_ago)s
      then (2 ^ least(attempts, 10))::integer else wait_runs - 1 end,
    attempts = attempts + (wait_runs <= 1 or last_seen_at < %(week_ago)s)::integer,
    last_seen_at = case when wait_runs <= 1 or last_seen_at < %(week_ago)s
      then %(now)s else last_seen_at end,
    last_run_id = %(run_id)s
  where resource = %(resource)s and id is not null and last_run_id <> %(run_id)s
  returning id, last_seen_at
)
select id from counted where last_seen_at = %(now)s order by id

-- name: forget
-- What is gone from the API; a record that was seen after the first of the two proofs stays.
delete from intra42.parked_records as p
using unnest(%(ids)s::bigint[], %(first_seqs)s::bigint[]) as proof (id, first_seq)
where p.resource = %(resource)s and p.id = proof.id and coalesce(p.seq, 0) < proof.first_seq

-- name: of_users
-- Records of these users that the API has and the mirror had to put aside.
select p.id
from intra42.parked_records as p
where p.resource = %(resource)s
  and coalesce(p.payload ->> 'user.id', p.payload ->> 'user_id') = any(%(users)s::text[])
  and p.id > %(after)s and p.id <= %(highest)s

-- name: users
-- Those of these accounts whose records had to be put aside.
select p.id
from intra42.parked_records as p
where p.resource = 'users' and p.fingerprint = any(%(ids)s::text[])

-- name: purge
-- Parked records of people who are not mirrored: from before scope was decided first, or of somebody
-- who has left the mirror. Whose record says that they are students may still enter it.
with owned as (
  select
    p.number,
    p.resource,
    p.payload,
    case
      when p.resource = 'users' then p.id::text
      else coalesce(p.payload ->> 'user.id', p.payload ->> 'user_id')
    end as owner
  from intra42.parked_records as p
  where p.resource = 'users' or p.resource = any(%(tables)s::text[])
),
outside as (
  select owned.number
  from owned
  where owned.owner is not null
    and not exists (select 1 from intra42.users as u where u.id::text = owned.owner)
    and not (
      owned.resource = 'users'
      and owned.payload ->> 'kind' = 'student'
      and owned.payload ->> 'alumni?' is distinct from 'true'
    )
),
gone as (
  delete from intra42.parked_records as p using outside where p.number = outside.number
),
-- Nobody knows whom these are about.
emptied as (
  update intra42.parked_records as p
  set payload = '{}'
  from owned
  where p.number = owned.number and owned.owner is null and p.payload <> '{}'
)
select count(*) from outside

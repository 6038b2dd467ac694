-- Who belongs to the mirror.

-- name: all_users
-- All mirrored users.
select id from intra42.users order by id

-- name: campus_names
-- The names of the listed campuses.
select id, name from intra42.campuses where listed and name is not null

-- name: outsiders
-- A time that has not come yet proves nothing.
select user_id
from intra42.outsiders
where user_id = any(%(ids)s::bigint[])
  and checked_at > %(since)s and checked_at < %(since)s::timestamptz + interval '8 days'

-- name: queue_unseen_users
-- The listing of this run has just shown some of them directly.
insert into intra42.to_read (dag_id, resource, user_id, why, run_id)
select %(dag_id)s, 'users', u.id, 'history', %(run_id)s
from intra42.users as u
left join intra42.verifications as v on v.resource = 'users' and v.id = u.id
where greatest(u._seq, v.seq) < (
  select r.first_seq
  from intra42.dag_runs as r
  where r.dag_id = %(dag_id)s and r.run_id = %(run_id)s
)
on conflict do nothing

-- name: remember_outsiders
-- Users that were looked up and are not in scope.
insert into intra42.outsiders as o (user_id, checked_at)
select user_id, %(checked_at)s from unnest(%(ids)s::bigint[]) as user_id
on conflict (user_id) do update set checked_at = excluded.checked_at

-- name: strays
-- Mirrored users whom a campus filter does not show: they have moved, or have no primary campus.
select id
from intra42.users
where campus_id is null or campus_id <> all(%(campuses)s::bigint[])
order by id

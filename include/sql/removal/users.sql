-- The accounts, after their rows, and all that is known of them elsewhere.
with gone as (
  delete from intra42.users as u where u.id = any(%(ids)s::bigint[]) returning u.id, u.campus_id
),
unchecked as (
  delete from intra42.verifications as v using gone where v.resource = 'users' and v.id = gone.id
),
unqueued as (
  delete from intra42.history_queue as q using gone where q.user_id = gone.id
),
unasked as (
  delete from intra42.refresh_requests as r using gone where r.user_id = gone.id
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

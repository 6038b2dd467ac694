with gone as (
  delete from intra42.users as u where u.id = any(%(users)s::bigint[]) returning u.id, u.campus_id
),
unchecked as (
  delete from intra42.verifications as v using gone where v.resource = 'users' and v.id = gone.id
),
unqueued as (
  delete from intra42.history_queue as q using gone where q.user_id = gone.id
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
  set row = jsonb_build_object('id', t.id, 'user_id', gone.id)
  from gone
  where t.row ->> 'user_id' = gone.id::text or (t.resource = 'users' and t.id = gone.id)
)
insert into intra42.tombstones
  (resource, id, row, reason, dag_id, run_id, scope, deleted_at, seq)
select
  'users', gone.id, jsonb_build_object('id', gone.id),
  'the account is no longer shown by the API', %(dag_id)s, %(run_id)s,
  coalesce(gone.campus_id::text, 'none'), %(deleted_at)s, %(seq)s
from gone

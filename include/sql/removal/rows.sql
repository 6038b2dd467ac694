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

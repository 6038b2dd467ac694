-- The rows of erased users; the tombstones keep nothing but ids.
with gone as (
  delete from {target} as e where e.user_id = any(%(users)s::bigint[]) returning e.id, e.user_id
),
unchecked as (
  delete from intra42.verifications as v using gone where v.resource = %(resource)s and v.id = gone.id
)
insert into intra42.tombstones (resource, id, row, reason, dag_id, run_id, deleted_at, seq)
select
  %(resource)s, gone.id, jsonb_build_object('id', gone.id, 'user_id', gone.user_id),
  'the account is no longer shown by the API', %(dag_id)s, %(run_id)s, %(deleted_at)s, %(seq)s
from gone

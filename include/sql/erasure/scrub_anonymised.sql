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

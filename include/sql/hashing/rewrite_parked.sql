-- A record without an id that was parked again in the meantime is there once.
with hashed as (
  select * from jsonb_to_recordset(%(rows)s::jsonb) as h (number bigint, payload jsonb, fingerprint text)
),
twice as (
  delete from intra42.parked_records as p
  using hashed as h
  where p.number = h.number
    and exists (
      select 1
      from intra42.parked_records as other
      where other.resource = p.resource
        and other.fingerprint = h.fingerprint
        and other.number <> p.number
    )
  returning p.number
)
update intra42.parked_records as p
set payload = h.payload, fingerprint = coalesce(h.fingerprint, p.fingerprint)
from hashed as h
where p.number = h.number and p.number not in (select number from twice)

-- Those of these accounts whose records had to be put aside.
select p.id
from intra42.parked_records as p
where p.resource = 'users' and p.fingerprint = any(%(ids)s::text[])

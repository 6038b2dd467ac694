update intra42.tombstones as t
set row = t.row || hashed.values
from jsonb_to_recordset(%(rows)s::jsonb) as hashed (number bigint, values jsonb)
where t.number = hashed.number

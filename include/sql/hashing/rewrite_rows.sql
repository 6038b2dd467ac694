update {target} as mine
set {assignments}
from jsonb_to_recordset(%(rows)s::jsonb) as hashed (id bigint, {definitions})
where mine.id = hashed.id

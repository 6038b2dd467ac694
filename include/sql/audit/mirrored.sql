select mine.id
from {target} as mine
where mine.user_id = any(%(users)s::bigint[]) and mine.id <= %(highest)s

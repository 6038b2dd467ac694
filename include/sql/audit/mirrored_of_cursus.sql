-- The API is asked for these cursus only; the mirror may have rows that left them.
select mine.id
from {target} as mine
where mine.user_id = any(%(users)s::bigint[]) and mine.id <= %(highest)s
  and mine.cursus_id = any(%(cursus)s::bigint[])

-- The API is asked for these cursus only, where rows have one; the mirror may have rows that left them.
select mine.id, mine.user_id
from {target} as mine
where mine.user_id = any(%(users)s::bigint[])
  and mine.id > %(after)s and mine.id <= %(highest)s
  and (%(cursus)s::bigint[] is null or {cursus} = any(%(cursus)s::bigint[]))

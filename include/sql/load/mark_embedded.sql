-- What the fresh lists of these owners have is listed; what else they had is no longer. Returns what
-- each row became, and whether this run had not counted it as written yet.
update {target} as mine
set listed = not mine.listed, _synced_at = %(synced_at)s, _run_id = %(run_id)s
from {target} as before
where before.id = mine.id
  and (
    (not mine.listed and mine.id = any(%(seen)s::bigint[]))
    or (
      mine.listed
      and mine.{owner} = any(%(owners)s::bigint[])
      and mine.id <> all(%(seen)s::bigint[])
    )
  )
returning mine.listed, before._run_id is distinct from %(run_id)s

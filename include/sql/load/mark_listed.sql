-- Returns what each row became, and whether this run had not counted it as written yet.
update {target} as mine
set listed = not mine.listed, _synced_at = %(synced_at)s, _run_id = %(run_id)s
from {target} as before
where before.id = mine.id
  and mine.listed <> (mine.id = any(%(seen)s::bigint[])) and (not mine.listed or not %(partial)s)
returning mine.listed, before._run_id is distinct from %(run_id)s

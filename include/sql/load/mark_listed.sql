update {target} as mine
set listed = not mine.listed, _synced_at = %(synced_at)s, _run_id = %(run_id)s
where mine.listed <> (mine.id = any(%(seen)s::bigint[])) and (not mine.listed or not %(partial)s)
returning mine.listed

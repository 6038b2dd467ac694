-- Add the staged rows that the table does not have: cheaper than a merge, which looks for a conflict
-- once more. Two writers of one new row meet at its key, and the later one begins its transaction
-- again. `offset 0` keeps the planner from scanning the target: the stage is never analysed.
insert into {target} ({columns}, _synced_at, _run_id, _seq)
select {columns}, fresh._synced_at, %(run_id)s, fresh._seq
from ({fresh}) as fresh
where not exists (select 1 from {target} as mine where mine.id = fresh.id offset 0)
order by fresh.id

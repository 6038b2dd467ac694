-- Add the staged rows that the table does not have: cheaper than a merge, which looks for a conflict
-- once more. Two writers of one new row meet at its key, and the later one begins its transaction
-- again. A page of a listing is a range of ids: where the table ends before it, or has a gap there,
-- no row is looked for. `limit` and `offset` keep the planner from scanning the target: the stage is
-- never analysed.
insert into {target} ({columns}, _synced_at, _run_id, _seq)
select {columns}, fresh._synced_at, %(run_id)s, fresh._seq
from ({fresh}) as fresh
where coalesce(
    (
      select mine.id
      from {target} as mine
      where mine.id >= (select min(id) from {stage})
      order by mine.id
      limit 1
    ) > (select max(id) from {stage}),
    true
  )
  or not exists (select 1 from {target} as mine where mine.id = fresh.id offset 0)
order by fresh.id

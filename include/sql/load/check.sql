-- The staged rows that the mirror now has exactly so were verified by this request. The stage is
-- never analysed, so the lateral subquery keeps the planner from scanning the whole target.
insert into intra42.checks as c (resource, id, checked_at, seq)
select %(resource)s, staged.id, %(synced_at)s, %(seq)s
from {stage} as staged
cross join lateral (
  select ({mine}) is not distinct from ({staged}) as equal
  from {target} as mine
  where mine.id = staged.id
  offset 0
) as stored
where stored.equal
order by staged.id
on conflict (resource, id) do update set checked_at = excluded.checked_at, seq = excluded.seq
where c.seq < excluded.seq

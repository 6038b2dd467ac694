-- Note what the merge before this found stored already, and equal, as verified by this request. What
-- it wrote has the request's own number. The stage is never analysed, so the lateral subquery keeps
-- the planner from scanning the target.
insert into intra42.verifications as v (resource, id, checked_at, seq)
select %(resource)s, fresh.id, fresh._synced_at, fresh._seq
from ({fresh}) as fresh
cross join lateral (
  select ({mine}) is not distinct from ({as_fresh}) as equal
  from {target} as mine
  where mine.id = fresh.id and mine._seq <> fresh._seq
  offset 0
) as stored
where stored.equal
order by fresh.id
on conflict (resource, id) do update set checked_at = excluded.checked_at, seq = excluded.seq
where v.seq < excluded.seq

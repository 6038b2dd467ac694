-- The staged rows that the mirror now has exactly so were verified by this request.
insert into intra42.checks as c (resource, id, checked_at, seq)
select %(resource)s, staged.id, %(synced_at)s, %(seq)s
from {stage} as staged
join {target} as mine on mine.id = staged.id
where ({mine}) is not distinct from ({staged})
order by staged.id
on conflict (resource, id) do update set checked_at = excluded.checked_at, seq = excluded.seq
where c.seq < excluded.seq

-- Rows verified longest ago.
select e.id
from {target} as e
left join intra42.checks as c on c.resource = %(resource)s and c.id = e.id
where coalesce(c.seq, 0) < %(first_seq)s
order by c.checked_at nulls first, e.id
limit 100

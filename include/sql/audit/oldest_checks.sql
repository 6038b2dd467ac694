-- Rows verified longest ago.
select e.id
from {target} as e
left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
where greatest(e._seq, v.seq) < %(first_seq)s and e.id <> all(%(asked)s::bigint[])
order by greatest(e._synced_at, v.checked_at), e.id
limit 100

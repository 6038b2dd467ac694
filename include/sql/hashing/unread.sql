-- Rows that no request has shown since the settings changed.
select mine.id
from {target} as mine
left join intra42.verifications as v on v.resource = %(resource)s and v.id = mine.id
where greatest(mine._seq, v.seq) <= %(from_seq)s and num_nonnulls({columns}) > 0
order by mine.id

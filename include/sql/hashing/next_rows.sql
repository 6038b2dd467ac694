select id, {columns}
from {target}
where id > %(after)s and _seq <= %(from_seq)s
order by id
limit %(limit)s
for update

-- A user whom the API has lately shown by id, other than those asked for.
select c.id
from intra42.checks as c
where c.resource = 'users' and c.id <> all(%(users)s::bigint[])
order by c.seq desc
limit 1

-- A user with an enrolment whom the API has lately shown by id, other than those asked for.
select c.id
from intra42.checks as c
where c.resource = 'users'
  and c.id <> all(%(users)s::bigint[])
  and exists (select 1 from intra42.cursus_users as e where e.user_id = c.id)
order by c.seq desc
limit 1

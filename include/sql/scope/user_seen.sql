-- Users with an enrolment whom the API has lately shown, other than those asked for: any one of
-- them will do as a witness, for one may have gone too. Anonymised accounts are no longer listed.
select c.id
from intra42.checks as c
join intra42.users as u on u.id = c.id
where c.resource = 'users'
  and c.id <> all(%(users)s::bigint[])
  and u.login not like '3b3-%%'
  and exists (select 1 from intra42.cursus_users as e where e.user_id = c.id)
order by c.seq desc
limit 5

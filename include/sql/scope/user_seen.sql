-- Users with an enrolment whom the API has lately shown, other than those asked for: any one of
-- them will do as a witness, for one may have gone too. Anonymised accounts are no longer listed.
select u.id
from intra42.users as u
left join intra42.verifications as v on v.resource = 'users' and v.id = u.id
where u.id <> all(%(users)s::bigint[])
  and not exists (select 1 from intra42.anonymised_users as a where a.user_id = u.id)
  and exists (select 1 from intra42.cursus_users as e where e.user_id = u.id)
order by greatest(u._seq, v.seq) desc
limit 5

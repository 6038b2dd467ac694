-- The users to count next: those whose enrolments moved since (Intra touches them when an attempt
-- is deleted), then those counted longest ago.
select u.id
from intra42.users as u
left join intra42.audits as a on a.resource = %(resource)s and a.user_id = u.id
where coalesce(a.seq, 0) < %(first_seq)s and u.id <> all(%(being_counted)s::bigint[])
order by
  exists (
    select 1
    from intra42.cursus_users as e
    where e.user_id = u.id and e.updated_at > a.audited_at
  ) desc,
  a.audited_at nulls first,
  u.id
limit 100

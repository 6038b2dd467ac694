-- The users to count next: those whose enrolments moved since (Intra touches them when an attempt is
-- deleted) or of whom a row was found gone, which may have made up for a missing one; then those
-- counted longest ago. Whom one night counts together is drawn, so that no two errors make up for
-- each other twice.
with robbed as (
  select (t.row ->> 'user_id')::bigint as user_id, max(t.seq) as seq
  from intra42.tombstones as t
  where t.resource = %(resource)s and t.deleted_at > %(since)s
  group by 1
)
select u.id
from intra42.users as u
left join intra42.audits as a on a.resource = %(resource)s and a.user_id = u.id
left join robbed on robbed.user_id = u.id
where coalesce(a.seq, 0) < %(first_seq)s
order by
  coalesce(robbed.seq > a.seq, false)
  or exists (
    select 1
    from intra42.cursus_users as e
    where e.user_id = u.id and e.updated_at > a.audited_at
  ) desc,
  date_trunc('day', a.audited_at) nulls first,
  md5(%(run_id)s || '/' || u.id)
limit %(most)s

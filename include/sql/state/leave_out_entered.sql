-- Whoever entered in this run had their memberships read then: they need not be read again. The first
-- load then counts as begun when the first of them was shown; an answer takes less than two minutes.
with entered as (
  select m.user_id, min(c.checked_at) as shown_at
  from intra42.campus_users as m
  join intra42.checks as c on c.resource = 'campus_users' and c.id = m.id
  where c.seq >= (
    select r.first_seq
    from intra42.dag_runs as r
    where r.dag_id = %(dag_id)s and r.run_id = %(run_id)s
  )
  group by m.user_id
),
begun as (
  update intra42.jobs
  set clock = (select min(shown_at) from entered) - interval '2 minutes', answered = true
  where dag_id = %(dag_id)s and resource = 'campus_users' and kind = 'first'
    and finished_at is null and clock is null and exists (select 1 from entered)
)
delete from intra42.history_queue as q
using entered
where q.dag_id = %(dag_id)s and q.resource = 'campus_users' and q.user_id = entered.user_id

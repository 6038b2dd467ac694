-- The listing of this run has just shown some of them directly.
insert into intra42.history_queue as q (dag_id, resource, user_id, run_id)
select %(dag_id)s, 'users', u.id, %(run_id)s
from intra42.users as u
left join intra42.verifications as v on v.resource = 'users' and v.id = u.id
where greatest(u._seq, v.seq) < (
  select r.first_seq
  from intra42.dag_runs as r
  where r.dag_id = %(dag_id)s and r.run_id = %(run_id)s
)
on conflict (dag_id, resource, user_id) do nothing

-- All mirrored users, or those of some campuses; an older reading of theirs starts again.
insert into intra42.history_queue as q (dag_id, resource, user_id, after, run_id)
select %(dag_id)s, %(resource)s, u.id, 0, %(run_id)s
from intra42.users as u
where %(campuses)s::bigint[] is null
  or u.campus_id = any(%(campuses)s::bigint[])
  or (u.campus_id is null and %(homeless)s)
on conflict (dag_id, resource, user_id) do update set after = 0, run_id = excluded.run_id

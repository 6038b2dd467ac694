-- All mirrored users, or those of some campuses, with the strays of others: who is at home on none of
-- them. A chunk that was begun is read from its start.
with restarted as (
  delete from intra42.history_chunks where dag_id = %(dag_id)s and resource = %(resource)s and reader = ''
)
insert into intra42.history_queue as q (dag_id, resource, user_id, run_id)
select %(dag_id)s, %(resource)s, u.id, %(run_id)s
from intra42.users as u
where %(campuses)s::bigint[] is null
  or u.campus_id = any(%(campuses)s::bigint[])
  or u.campus_id is null
  or u.campus_id <> all(%(strays_of)s::bigint[])
on conflict (dag_id, resource, user_id) do update set run_id = excluded.run_id

-- The next users to read together, each with the rows we know of. A chunk that was begun goes on
-- from its position.
with waiting as (
  select q.user_id, max(q.after) as after
  from intra42.history_queue as q
  where q.resource = %(resource)s and (q.dag_id = %(dag_id)s or %(all_dags)s)
  group by q.user_id
),
chunk as (
  select user_id, after
  from waiting
  where after = (select max(after) from waiting)
  order by user_id
  limit 100
)
select chunk.user_id, chunk.after, (
  select count(*) from {target} as mine where mine.{owner} = chunk.user_id
)
from chunk
order by chunk.user_id

-- The next queued users that nobody is reading, each with the rows of theirs that we know of.
with chunk as (
  select distinct q.user_id
  from intra42.history_queue as q
  where q.resource = %(resource)s and (q.dag_id = %(dag_id)s or %(all_dags)s)
    and (%(only_run)s::text is null or q.run_id = %(only_run)s)
    and q.user_id > %(behind)s
    and q.user_id <> all(%(being_read)s::bigint[])
  order by q.user_id
  limit 100
)
select chunk.user_id, (select count(*) from {target} as mine where mine.{owner} = chunk.user_id)
from chunk
order by chunk.user_id

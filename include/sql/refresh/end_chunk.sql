-- The users of this chunk have had their levels looked at.
with chunk as (
  update intra42.refresh_chunks
  set absent = %(absent)s, done = true
  where dag_id = %(dag_id)s and run_id = %(run_id)s and chunk = %(chunk)s
  returning ids
)
delete from intra42.refresh_requests as r
using chunk, intra42.cursus_users as e
where r.dag_id = %(dag_id)s and e.id = any(chunk.ids) and r.user_id = e.user_id

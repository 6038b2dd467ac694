-- A part is done; the users leave the queue with the last part of their chunk.
with chunk as (
  delete from intra42.history_chunks
  where dag_id = %(dag_id)s and resource = %(resource)s and reader = %(reader)s
    and first_user = %(first_user)s and part = %(part)s
)
delete from intra42.history_queue
where resource = %(resource)s and user_id = any(%(users)s::bigint[])
  and (dag_id = %(dag_id)s or %(all_dags)s)
  and (%(only_run)s::text is null or run_id = %(only_run)s)
  and not exists (
    select 1
    from intra42.history_chunks
    where dag_id = %(dag_id)s and resource = %(resource)s and reader = %(reader)s
      and first_user = %(first_user)s and part <> %(part)s
  )

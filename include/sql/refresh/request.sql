insert into intra42.refresh_requests (dag_id, user_id)
select %(dag_id)s, user_id from unnest(%(users)s::bigint[]) as user_id
on conflict do nothing

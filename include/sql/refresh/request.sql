insert into intra42.refresh_requests as r (dag_id, user_id)
select %(dag_id)s, user_id from unnest(%(users)s::bigint[]) as user_id
on conflict (dag_id, user_id) do update set planned_by = null where r.planned_by is not null

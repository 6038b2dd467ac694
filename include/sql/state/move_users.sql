insert into intra42.history_chunks (dag_id, resource, users, after)
values (%(dag_id)s, %(resource)s, %(users)s, %(after)s)
on conflict (dag_id, resource) do update set users = excluded.users, after = excluded.after

insert into intra42.history_chunks (dag_id, resource, reader, users, after)
values (%(dag_id)s, %(resource)s, %(reader)s, %(users)s, %(after)s)
on conflict (dag_id, resource, reader) do update set
  users = excluded.users, after = excluded.after

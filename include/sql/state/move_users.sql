insert into intra42.history_chunks (dag_id, resource, reader, first_user, part, users, after, highest)
values (
  %(dag_id)s, %(resource)s, %(reader)s, %(first_user)s, %(part)s, %(users)s, %(after)s, %(highest)s
)
on conflict (dag_id, resource, reader, first_user, part) do update set
  users = excluded.users, after = excluded.after, highest = excluded.highest

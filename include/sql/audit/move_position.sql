insert into intra42.audit_positions (listing, after, moved_at)
values (%(listing)s, %(after)s, %(moved_at)s)
on conflict (listing) do update set after = excluded.after, moved_at = excluded.moved_at

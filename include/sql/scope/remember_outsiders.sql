insert into intra42.outsiders as o (user_id, checked_at)
select user_id, %(checked_at)s from unnest(%(ids)s::bigint[]) as user_id
on conflict (user_id) do update set checked_at = excluded.checked_at

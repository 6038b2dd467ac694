insert into intra42.vanished_users as v (user_id, run_id, seq)
select user_id, %(run_id)s, %(seq)s from unnest(%(users)s::bigint[]) as user_id
on conflict (user_id) do update set run_id = excluded.run_id, seq = excluded.seq

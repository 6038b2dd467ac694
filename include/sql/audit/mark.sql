insert into intra42.audits as a (resource, user_id, audited_at, seq)
select %(resource)s, u.id, %(audited_at)s, %(seq)s
from intra42.users as u
where u.id = any(%(users)s::bigint[])
on conflict (resource, user_id) do update set audited_at = excluded.audited_at, seq = excluded.seq
where a.seq < excluded.seq

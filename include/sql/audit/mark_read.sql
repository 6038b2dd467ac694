-- All rows of these users were read. Where the mirror has none beside those that this run was shown,
-- the API has exactly the mirror's rows: nothing is left to count.
insert into intra42.audits as a (resource, user_id, audited_at, seq)
select %(resource)s, u.id, %(audited_at)s, %(seq)s
from intra42.users as u
where u.id = any(%(users)s::bigint[])
  and not exists (
    select 1
    from {target} as mine
    left join intra42.verifications as v on v.resource = %(resource)s and v.id = mine.id
    where mine.user_id = u.id and greatest(mine._seq, v.seq) < (
      select r.first_seq
      from intra42.dag_runs as r
      where r.dag_id = %(dag_id)s and r.run_id = %(run_id)s
    )
  )
order by u.id
on conflict (resource, user_id) do update set
  audited_at = excluded.audited_at, seq = excluded.seq
where a.seq < excluded.seq

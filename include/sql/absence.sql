-- What is gone, and what brings it back.

-- name: lock
-- Both DAGs count the deletes of the last 24 hours: one at a time.
select pg_advisory_xact_lock(hashtextextended('deletes of ' || %(resource)s, 4242))

-- name: witness
-- Rows that the API has shown lately, other than those in question: the latest of a few hundred, which
-- lie at both ends of the table and all over it. A small table is looked at whole.
with ends as (
  select min(e.id) as first, max(e.id) as last from {target} as e
),
sample as (
  (select e.id, e.{owner} as owner, e._seq from {target} as e order by e.id limit 100)
  union
  (select e.id, e.{owner}, e._seq from {target} as e order by e.id desc limit 100)
  union
  select near.*
  from ends
  cross join generate_series(1, 20) as place
  cross join lateral (
    select e.id, e.{owner}, e._seq
    from {target} as e
    where e.id >= ends.first + (ends.last - ends.first) / 21 * place
    order by e.id
    limit 10
  ) as near
)
select s.owner
from sample as s
left join intra42.verifications as v on v.resource = %(resource)s and v.id = s.id
where s.owner <> all(%(ids)s::bigint[]) {shown}
group by s.owner
order by max(greatest(s._seq, v.seq)) desc
limit %(witnesses)s

-- name: seen_since
-- Which of these have a row here that was shown after the first proof that they are gone.
select p.id
from unnest(%(ids)s::bigint[], %(first_seqs)s::bigint[]) as p (id, first_seq)
where exists (
  select 1
  from {target} as e
  left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
  where e.{owner} = p.id and greatest(e._seq, v.seq) > p.first_seq
)

-- name: rows_of_scope
-- How many rows a scope has, counted no further than the guard needs to know.
select count(*)
from (
  select 1
  from {home} as u
  cross join lateral (
    select 1 from {target} as e where {at_home} {of_cursus} offset 0
  ) as owned
  where u.campus_id = %(campus_id)s::bigint
    or (%(campus_id)s::bigint is null and u.campus_id is null)
  limit %(enough)s
) as counted

-- name: at_home
-- The user, or what else is on a campus, whom a row belongs to.
u.id = e.{owner}

-- name: homeless
-- What stands for it where rows belong to nobody.
(select null::bigint as campus_id)

-- name: lately_deleted
-- Per scope (campus of the user, and cursus where the table has one) of rows about to be deleted: how
-- many they are, and how many rows any DAG deleted there in a day and in a week.
with doomed as (
  select
    coalesce(u.campus_id::text, 'none') {cursus} as scope,
    u.campus_id,
    {cursus_id} as cursus_id,
    count(*) as rows
  from {target} as e
  join {home} as u on {at_home}
  where e.id = any(%(ids)s::bigint[])
  group by 1, 2, 3
)
select doomed.scope, doomed.campus_id, doomed.cursus_id, doomed.rows, lately.in_a_day, lately.in_a_week
from doomed
cross join lateral (
  select count(*) filter (where t.deleted_at > %(day)s) as in_a_day, count(*) as in_a_week
  from intra42.tombstones as t
  where t.resource = %(resource)s
    and t.scope = doomed.scope
    and t.deleted_at > %(week)s
    and t.restored_at is null
    and not t.purged
) as lately
order by doomed.scope

-- name: delete
-- Delete what is proven gone, whole into a tombstone. Whoever runs this holds the rows and has left out
-- those that were seen after the first proof.
with proof as (
  select id, seq from unnest(%(ids)s::bigint[], %(seqs)s::bigint[]) as p (id, seq)
),
gone as (
  delete from {target} as e
  using proof
  where e.id = proof.id
  returning e.*, proof.seq as proof_seq
),
unchecked as (
  delete from intra42.verifications as v using gone where v.resource = %(resource)s and v.id = gone.id
),
buried as (
  insert into intra42.tombstones
    (resource, id, row, reason, dag_id, run_id, scope, deleted_at, seq, row_seq)
  select
    %(resource)s,
    e.id,
    to_jsonb(e) - 'proof_seq' - '_seq',
    %(reason)s,
    %(dag_id)s,
    %(run_id)s,
    coalesce(u.campus_id::text, 'none') {cursus},
    %(deleted_at)s,
    e.proof_seq,
    e._seq
  from gone as e
  join {home} as u on {at_home}
)
select id, {owner} from gone

-- name: buried
-- What was deleted since then and can come back by itself. Rows of an account that was erased come
-- back with the account, which is asked for in their stead; what was purged is not wanted back.
select distinct t.id
from intra42.tombstones as t
where t.resource = %(resource)s
  and t.restored_at is null
  and not t.purged
  and t.deleted_at >= %(since)s
  and (
    t.resource = 'users'
    or not t.row ? 'user_id'
    or exists (select 1 from intra42.users as u where u.id = (t.row ->> 'user_id')::bigint)
  )
order by t.id

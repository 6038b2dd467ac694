-- How the rows of a page come into their table, from the stage to what is noted of them.

-- name: stage
-- The staging table of one target: typed like it, with the place of the answer that showed each row
-- among those that are stored together; emptied by each commit.
create temporary table if not exists {stage} (
  {definitions},
  _answer smallint default 1
) on commit delete rows

-- name: copy
-- Fill the stage.
copy {stage} ({columns}) from stdin

-- name: answer
-- Which request showed a staged row, and the API's clock in its answer.
cross join lateral (
  select
    (%(answer_seqs)s::bigint[])[staged._answer] as seq,
    (%(answer_dates)s::timestamptz[])[staged._answer] as date
) as answer

-- name: fresh
-- A row that was found gone by a later request than the one that shows it stays gone.
select {values}, answer.date as _synced_at, answer.seq as _seq
from {stage} as staged
{answer}
{derived}
where not exists (
  select 1
  from intra42.tombstones as grave
  where grave.resource = %(resource)s and grave.id = staged.id and grave.seq >= answer.seq
)

-- name: guard_listing
-- Later updated_at wins; at equal or absent updated_at the later request does. A time in the future
-- proves nothing, so it does not protect a row.
excluded.updated_at > mine.updated_at
or (
  (
    excluded.updated_at is null
    or mine.updated_at is null
    or excluded.updated_at = mine.updated_at
    or mine.updated_at > excluded._synced_at
  )
  and {later_request}
)

-- name: guard_later_request
-- The request that shows it was sent after whatever showed the row before.
excluded._seq > greatest(
  mine._seq,
  (select v.seq from intra42.verifications as v where v.resource = %(resource)s and v.id = mine.id)
)

-- name: guard_embedded
-- Nested users may be stale copies: only a later updated_at, or an anonymised login, is news. Of an
-- anonymised account, which is listed no longer, only a nested copy has the values to be read again.
excluded.updated_at > mine.updated_at
or (
  excluded.id = any(%(anonymised)s::bigint[])
  and (
    not exists (select 1 from intra42.anonymised_users as a where a.user_id = mine.id)
    or (excluded.updated_at = mine.updated_at and mine._seq <= %(reread_seq)s::bigint)
  )
)

-- name: insert
-- Add the staged rows that the table does not have: cheaper than a merge, which looks for a conflict
-- once more. Two writers of one new row meet at its key, and the later one begins its transaction
-- again. A page of a listing is a range of ids: where the table ends before it, or has a gap there,
-- no row is looked for. `limit` and `offset` keep the planner from scanning the target: the stage is
-- never analysed.
insert into {target} ({columns}, _synced_at, _run_id, _seq)
select {columns}, fresh._synced_at, %(run_id)s, fresh._seq
from ({fresh}) as fresh
where coalesce(
    (
      select mine.id
      from {target} as mine
      where mine.id >= (select min(id) from {stage})
      order by mine.id
      limit 1
    ) > (select max(id) from {stage}),
    true
  )
  or not exists (select 1 from {target} as mine where mine.id = fresh.id offset 0)
order by fresh.id

-- name: merge
-- Merge the staged rows. A row only moves forward: the guard decides whether the staged version is
-- newer than mine. Equal rows are not rewritten.
with merged as (
  insert into {target} as mine ({columns}, _synced_at, _run_id, _seq)
  select {columns}, fresh._synced_at, %(run_id)s, fresh._seq
  from ({fresh}) as fresh
  order by fresh.id
  on conflict (id) do update set
    {assignments},
    _synced_at = excluded._synced_at,
    _run_id = excluded._run_id,
    _seq = excluded._seq
  where ({mine}) is distinct from ({excluded}) and ({guard})
  returning (xmax = 0) as inserted
)
select count(*) filter (where inserted), count(*) filter (where not inserted) from merged

-- name: verify
-- Note what the merge before this found stored already, and equal, as verified by this request. What
-- it wrote has the request's own number. The stage is never analysed, so the lateral subquery keeps
-- the planner from scanning the target.
insert into intra42.verifications as v (resource, id, checked_at, seq)
select %(resource)s, fresh.id, fresh._synced_at, fresh._seq
from ({fresh}) as fresh
cross join lateral (
  select ({mine}) is not distinct from ({as_fresh}) as equal
  from {target} as mine
  where mine.id = fresh.id and mine._seq <> fresh._seq
  offset 0
) as stored
where stored.equal
order by fresh.id
on conflict (resource, id) do update set checked_at = excluded.checked_at, seq = excluded.seq
where v.seq < excluded.seq

-- name: shown
-- What the API shows is neither parked nor gone any more.
with unparked as (
  delete from intra42.parked_records as p
  using {stage} as staged
  where p.resource = %(resource)s and p.id = staged.id
)
update intra42.tombstones as grave
set restored_at = answer.date
from {stage} as staged
{answer}
where grave.resource = %(resource)s
  and grave.id = staged.id
  and grave.restored_at is null
  and grave.seq < answer.seq

-- name: note_anonymised
-- Whose login, as it is stored now, begins with 3b3-: seen before it was hashed.
with shown as (
  select u.id, u.id = any(%(anonymised)s::bigint[]) as anonymised
  from {stage} as staged
  join intra42.users as u on u.id = staged.id and u.login = staged.login
),
named as (
  delete from intra42.anonymised_users as a
  using shown
  where a.user_id = shown.id and not shown.anonymised
)
insert into intra42.anonymised_users (user_id)
select id from shown where anonymised
on conflict (user_id) do nothing

-- name: empty_stage
-- What is stored together comes one after the other.
delete from {stage}

-- name: existing
-- Which of these ids the table has.
select id from {target} where id = any(%(ids)s::bigint[])

-- name: highest
-- The highest id of a table.
select coalesce(max(id), 0) from {target}

-- name: seen_by
-- Which of these rows a request has shown.
select id
from intra42.checks
where resource = %(resource)s and id = any(%(ids)s::bigint[]) and seq = %(seq)s

-- name: stubs
-- All columns but the key are null: the API mentions the id and does not give the record.
insert into {target} (id, _synced_at, _run_id, _seq)
select id, %(synced_at)s, %(run_id)s, 0
from unnest(%(ids)s::bigint[]) as id
on conflict (id) do nothing

-- name: mark_listed
-- Returns what each row became, and whether this run had not counted it as written yet.
update {target} as mine
set listed = not mine.listed, _synced_at = %(synced_at)s, _run_id = %(run_id)s
from {target} as before
where before.id = mine.id
  and mine.listed <> (mine.id = any(%(seen)s::bigint[])) and (not mine.listed or not %(partial)s)
returning mine.listed, before._run_id is distinct from %(run_id)s

-- name: mark_embedded
-- What the fresh lists of these owners have is listed; what else they had is no longer. Returns what
-- each row became, and whether this run had not counted it as written yet.
update {target} as mine
set listed = not mine.listed, _synced_at = %(synced_at)s, _run_id = %(run_id)s
from {target} as before
where before.id = mine.id
  and (
    (not mine.listed and mine.id = any(%(seen)s::bigint[]))
    or (
      mine.listed
      and mine.{owner} = any(%(owners)s::bigint[])
      and mine.id <> all(%(seen)s::bigint[])
    )
  )
returning mine.listed, before._run_id is distinct from %(run_id)s

-- name: unlisted
-- Rows that a complete listing did not have.
select id from {target} where id <> all(%(seen)s::bigint[]) order by id

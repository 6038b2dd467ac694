-- Columns that are stored hashed.

-- name: declare
-- From now on these columns are stored under this key, or in clear text where it is null. What is
-- stored already is rewritten in place where it is to be hashed, and read again where it was hashed
-- before: its clear text is nowhere but in the API. No request has the number drawn here.
with drawn as (
  select
    nextval('intra42.request_seq') as seq,
    (select coalesce(max(version), 0) + 1 from intra42.hashed_columns) as version
)
insert into intra42.hashed_columns as c
  (resource, column_name, fingerprint, from_seq, rewritten_to, reread, version)
select
  chosen.resource, chosen.column_name, %(fingerprint)s, drawn.seq,
  case when %(fingerprint)s::text is not null then -1 end, false, drawn.version
from
  drawn,
  unnest(%(resources)s::text[], %(columns)s::text[]) as chosen (resource, column_name)
on conflict (resource, column_name) do update set
  fingerprint = excluded.fingerprint,
  from_seq = excluded.from_seq,
  rewritten_to = excluded.rewritten_to,
  reread = true,
  version = excluded.version,
  changed_at = now()

-- name: declared
-- How each column is stored, as it was declared last.
select resource, column_name, fingerprint, from_seq, reread, version
from intra42.hashed_columns
order by resource, column_name

-- name: end_reread
-- The clear text of these columns was read again.
update intra42.hashed_columns set reread = false where resource = %(resource)s and reread

-- name: hold
-- Nobody changes how columns are stored until this transaction ends; returns the version.
select intra42.hold_hashing()

-- name: lock
-- Waits for all transactions that write by the settings of before.
select pg_advisory_xact_lock(hashtextextended('hash_columns', 4242))

-- name: lock_rewriting
-- The tasks of a run take turns.
select pg_advisory_xact_lock(hashtextextended('rewriting of hash_columns', 4242))

-- name: next_graves
-- Deleted rows among those just rewritten. Those before row_seq was kept are all older.
select number, row
from intra42.tombstones
where resource = %(resource)s
  and id > %(after)s
  and (%(up_to)s::bigint is null or id <= %(up_to)s)
  and coalesce(row_seq, 0) <= %(from_seq)s
order by number
for update

-- name: next_rows
-- Rows that were stored before the change, a batch in the order of ids.
select id, {columns}
from {target}
where id > %(after)s and _seq <= %(from_seq)s
order by id
limit %(limit)s
for update

-- name: parked
-- Parked records that were stored before the change.
select number, id, payload
from intra42.parked_records
where resource = %(resource)s and coalesce(seq, 0) <= %(from_seq)s
order by number
for update

-- name: progress
-- How far the rows of a table are rewritten.
update intra42.hashed_columns
set rewritten_to = %(up_to)s
where resource = %(resource)s and column_name = any(%(columns)s::text[])

-- name: rewrite_graves
-- Write the hashed values into tombstones.
update intra42.tombstones as t
set row = t.row || hashed.values
from jsonb_to_recordset(%(rows)s::jsonb) as hashed (number bigint, values jsonb)
where t.number = hashed.number

-- name: rewrite_parked
-- A record without an id that was parked again in the meantime is there once.
with hashed as (
  select * from jsonb_to_recordset(%(rows)s::jsonb) as h (number bigint, payload jsonb, fingerprint text)
),
twice as (
  delete from intra42.parked_records as p
  using hashed as h
  where p.number = h.number
    and exists (
      select 1
      from intra42.parked_records as other
      where other.resource = p.resource
        and other.fingerprint = h.fingerprint
        and other.number <> p.number
    )
  returning p.number
)
update intra42.parked_records as p
set payload = h.payload, fingerprint = coalesce(h.fingerprint, p.fingerprint)
from hashed as h
where p.number = h.number and p.number not in (select number from twice)

-- name: rewrite_rows
-- Write the hashed values into rows; when the API showed them stays.
update {target} as mine
set {assignments}
from jsonb_to_recordset(%(rows)s::jsonb) as hashed (id bigint, {definitions})
where mine.id = hashed.id

-- name: to_reread
-- Columns whose clear text only the API has, and the request that showed the latest of them.
select max(from_seq), array_agg(column_name order by column_name)
from intra42.hashed_columns
where resource = %(resource)s and reread
having count(*) > 0

-- name: unread
-- Rows that no request has shown since the settings changed.
select mine.id
from {target} as mine
left join intra42.verifications as v on v.resource = %(resource)s and v.id = mine.id
where greatest(mine._seq, v.seq) <= %(from_seq)s and num_nonnulls({columns}) > 0
order by mine.id

-- name: unwritten
-- What is still to be hashed in place: columns of one table that have got equally far.
select resource, from_seq, rewritten_to, array_agg(column_name order by column_name)
from intra42.hashed_columns
where rewritten_to is not null
group by resource, from_seq, rewritten_to
order by resource, from_seq

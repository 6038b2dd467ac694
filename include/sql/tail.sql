-- Ledgers: rows that are only added, one list for each row of another table.

-- name: parents
-- The rows that have a ledger, of some campuses (null: of all).
select id
from {parents}
where %(of_campuses)s::bigint[] is null or campus_id = any(%(of_campuses)s::bigint[])
order by id

-- name: stored
-- How many rows of a ledger are stored, and the highest id.
select count(*), coalesce(max(id), 0) from {target} where {owner} = %(parent)s

-- name: parked
-- How many records of a ledger could not be stored.
select count(*)
from intra42.parked_records
where resource = %(resource)s and payload ->> %(owner)s = %(parent)s

-- name: ids_at
-- The ids that stand where a page of the ledger does.
select id from {target} where {owner} = %(parent)s order by id offset %(skipped)s limit %(limit)s

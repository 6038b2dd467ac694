-- Rows verified longest ago, by the number of the request: no wrong clock can change that order. Asked
-- once a night, for as many rows as the night can read. Of a table with more than 200,000 rows each
-- night looks at a part, in turn: all parts are alike, and many times as large as what is read.
with parts as materialized (
  select greatest((reltuples / greatest(200000, 10 * %(limit)s))::bigint, 1) as number
  from pg_class
  where oid = %(target)s::regclass
),
-- The planner takes an inequality for a third of the rows, but an equation for next to none.
verified as materialized (
  select id, seq
  from intra42.verifications
  where resource = %(resource)s
    and abs(id %% (select number from parts) - %(turn)s %% (select number from parts)) < 1
)
select e.id
from {target} as e
left join verified as v on v.id = e.id
where abs(e.id %% (select number from parts) - %(turn)s %% (select number from parts)) < 1
  and greatest(e._seq, v.seq) < %(first_seq)s
order by greatest(e._seq, v.seq), e.id
limit %(limit)s

-- Deleted rows among those just rewritten. Those before row_seq was kept are all older.
select number, row
from intra42.tombstones
where resource = %(resource)s
  and id > %(after)s
  and (%(up_to)s::bigint is null or id <= %(up_to)s)
  and coalesce(row_seq, 0) <= %(from_seq)s
order by number
for update

select max(from_seq), array_agg(column_name order by column_name)
from intra42.hashed_columns
where resource = %(resource)s and reread
having count(*) > 0

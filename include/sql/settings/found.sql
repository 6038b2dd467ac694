-- The settings used last, by variable, in each row; and how columns are stored, as hashing/declared.
-- One row at least, so that a task asks once.
select
  s.used, c.resource, c.column_name, c.fingerprint, c.from_seq, c.reread, c.version
from (select coalesce(jsonb_object_agg(variable, used), '{}') as used from intra42.settings) as s
left join intra42.hashed_columns as c on true
order by c.resource, c.column_name

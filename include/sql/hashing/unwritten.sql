-- What is still to be hashed in place: columns of one table that have got equally far.
select resource, from_seq, rewritten_to, array_agg(column_name order by column_name)
from intra42.hashed_columns
where rewritten_to is not null
group by resource, from_seq, rewritten_to
order by resource, from_seq

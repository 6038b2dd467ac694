-- The chunks that earlier attempts left unfinished, part by part.
select users, part, after, highest
from intra42.history_chunks
where dag_id = %(dag_id)s and resource = %(resource)s and reader = %(reader)s
order by first_user, part

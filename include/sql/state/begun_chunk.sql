-- The chunk that an earlier attempt left unfinished.
select users, after
from intra42.history_chunks
where dag_id = %(dag_id)s and resource = %(resource)s and reader = %(reader)s

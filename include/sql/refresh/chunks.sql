select chunk, ids
from intra42.refresh_chunks
where dag_id = %(dag_id)s and run_id = %(run_id)s and chunk = any(%(chunks)s::integer[]) and not done
order by chunk

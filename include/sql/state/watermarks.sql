select dag_id, scope, watermark
from intra42.sync_state
where resource = %(resource)s and scope = any(%(scopes)s::text[]) and dag_id = any(%(dags)s::text[])

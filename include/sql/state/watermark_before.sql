-- Where reading goes on if the present watermarks of these scopes are wrong: at the earliest that they
-- had before, or when they were written, by the difference of the API's clock and ours.
select min(coalesce(s.before, s.updated_at + (r.clock - r.heard_at)))
from intra42.sync_state as s
left join intra42.last_heard as r on true
where s.dag_id = %(dag_id)s and s.resource = %(resource)s and s.scope = any(%(scopes)s::text[])

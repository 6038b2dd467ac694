select number, path, params, scopes, after, page
from intra42.legs
where job_id = %(job_id)s and not done
order by number
limit 1

insert into intra42.legs (job_id, number, path, params, scopes, after, highest)
select
  %(job_id)s, coalesce(max(number), 0) + 1, %(path)s, %(params)s, %(scopes)s, %(after)s, %(highest)s
from intra42.legs
where job_id = %(job_id)s

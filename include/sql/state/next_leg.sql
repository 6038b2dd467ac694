-- The next listing of a job that is not finished, other than those that are being read.
select number, path, params, scopes, after, highest, page
from intra42.legs
where job_id = %(job_id)s and not done and number <> all(%(being_read)s::integer[])
order by number
limit 1

with purged as (
  delete from intra42.jobs where finished_at < now() - interval '30 days'
),
emptied as (
  delete from intra42.legs where job_id = %(job_id)s
)
update intra42.jobs set finished_at = now() where id = %(job_id)s

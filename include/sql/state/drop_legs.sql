-- Listings of a job for scopes that nobody wants any more; the job no longer speaks for those.
with dropped as (
  delete from intra42.legs
  where job_id = %(job_id)s
    and not done
    and cardinality(scopes) > 0
    and not scopes && %(wanted)s::text[]
  returning scopes
)
update intra42.jobs
set scopes = array(
  select scope
  from unnest(scopes) as scope
  where scope not in (select unnest(d.scopes) from dropped as d)
)
where id = %(job_id)s and exists (select 1 from dropped)

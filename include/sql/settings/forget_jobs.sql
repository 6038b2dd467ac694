-- Jobs that have nothing left to read, nor a scope to speak for.
delete from intra42.jobs as j
where j.dag_id = %(dag_id)s
  and j.finished_at is null
  and j.kind <> 'explicit'
  and cardinality(j.scopes) = 0
  and not exists (select 1 from intra42.legs as leg where leg.job_id = j.id)

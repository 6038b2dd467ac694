-- Whether this DAG has begun a run in the last half day.
select exists (
  select 1
  from intra42.dag_runs
  where dag_id = %(dag_id)s and opened_at > now() - interval '12 hours'
)

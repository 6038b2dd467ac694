-- The API's clock as far as we have heard it, in any run.
select coalesce((select max(clock) from intra42.dag_runs), now())

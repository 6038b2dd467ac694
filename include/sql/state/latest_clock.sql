-- The API's clock as far as we have heard it: in this run, else in the latest one.
select coalesce(
  (select clock from intra42.dag_runs where dag_id = %(dag_id)s and run_id = %(run_id)s),
  (select clock from intra42.dag_runs where clock is not null order by opened_at desc limit 1),
  now()
)

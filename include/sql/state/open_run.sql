insert into intra42.dag_runs as r (dag_id, run_id, first_seq, clock)
values (
  %(dag_id)s,
  %(run_id)s,
  nextval('intra42.request_seq'),
  null
)
-- A run that is cleared looks at everything again.
on conflict (dag_id, run_id) do update set opened_at = now(), first_seq = excluded.first_seq
returning first_seq

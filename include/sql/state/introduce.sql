-- Triggers learn from this who writes.
select
  set_config('intra42.dag_id', %(dag_id)s, false),
  set_config('intra42.loads', %(loads)s::boolean::text, false)

-- Whom other settings found outside may be inside by these.
with changed as (
  delete from intra42.outsiders where %(scope_changed)s::boolean
)
insert into intra42.settings as s (variable, used, dag_id, run_id)
values (%(variable)s, %(used)s, %(dag_id)s, %(run_id)s)
on conflict (variable) do update set
  used = excluded.used,
  dag_id = excluded.dag_id,
  run_id = excluded.run_id,
  changed_at = excluded.changed_at
where s.used <> excluded.used

select
  (
    select coalesce(sum(cardinality(c.ids)), 0)::bigint
    from intra42.refresh_chunks as c
    where c.dag_id = %(dag_id)s and c.run_id = %(run_id)s
  ),
  array(
    select gone.id
    from intra42.refresh_chunks as c, unnest(c.absent) as gone (id)
    where c.dag_id = %(dag_id)s and c.run_id = %(run_id)s
  )

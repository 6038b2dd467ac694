-- How many ids were asked for, and which did not come back, each with the number of the request.
select
  (
    select coalesce(sum(cardinality(c.ids)), 0)::bigint
    from intra42.refresh_chunks as c
    where c.dag_id = %(dag_id)s and c.run_id = %(run_id)s
  ),
  absent.ids,
  absent.seqs
from (
  select array_agg(gone.id) as ids, array_agg(coalesce(gone.seq, 0)) as seqs
  from intra42.refresh_chunks as c, unnest(c.absent, c.absent_seqs) as gone (id, seq)
  where c.dag_id = %(dag_id)s and c.run_id = %(run_id)s
) as absent

-- Which of these have a row here that was shown after the first proof that they are gone.
select p.id
from unnest(%(ids)s::bigint[], %(first_seqs)s::bigint[]) as p (id, first_seq)
where exists (
  select 1
  from {target} as e
  left join intra42.verifications as v on v.resource = %(resource)s and v.id = e.id
  where e.{owner} = p.id and greatest(e._seq, v.seq) > p.first_seq
)

-- Delete what is proven gone, whole into a tombstone. Whoever runs this holds the rows and has left out
-- those that were seen after the first proof.
with proof as (
  select id, seq from unnest(%(ids)s::bigint[], %(seqs)s::bigint[]) as p (id, seq)
),
gone as (
  delete from {target} as e
  using proof
  where e.id = proof.id
  returning e.*, proof.seq as proof_seq
),
unchecked as (
  delete from intra42.verifications as v using gone where v.resource = %(resource)s and v.id = gone.id
),
buried as (
  insert into intra42.tombstones
    (resource, id, row, reason, dag_id, run_id, scope, deleted_at, seq, row_seq)
  select
    %(resource)s,
    e.id,
    to_jsonb(e) - 'proof_seq' - '_seq',
    %(reason)s,
    %(dag_id)s,
    %(run_id)s,
    coalesce(u.campus_id::text, 'none') {cursus},
    %(deleted_at)s,
    e.proof_seq,
    e._seq
  from gone as e
  join intra42.users as u on u.id = e.user_id
)
select id, user_id from gone

-- What is gone from the API; a record that was seen after the first of the two proofs stays.
delete from intra42.parked_records as p
using unnest(%(ids)s::bigint[], %(first_seqs)s::bigint[]) as proof (id, first_seq)
where p.resource = %(resource)s and p.id = proof.id and coalesce(p.seq, 0) < proof.first_seq

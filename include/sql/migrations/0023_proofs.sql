-- The first of the two answers that prove an absence: what was shown after it stays.
alter table intra42.refresh_chunks
  add column absent_seqs bigint[],
  add constraint refresh_chunks_absent_seqs_check
    check (cardinality(absent_seqs) = cardinality(absent));
comment on column intra42.refresh_chunks.absent_seqs is
  'For each of the absent ids, the number of the request that did not return it; null if unknown.';

alter table intra42.vanished_users add column seq bigint;
comment on column intra42.vanished_users.seq is
  'The number of the first request that no longer showed the account.';

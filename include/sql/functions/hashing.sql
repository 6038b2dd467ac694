-- Called first in each transaction that writes: no settings change until it ends.
create or replace function intra42.hold_hashing() returns bigint
language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('hash_columns', 4242));
  -- Each statement of a volatile function sees what was committed before it, and the lock was first.
  return (select coalesce(max(version), 0) from intra42.hashed_columns);
end
$$;
comment on function intra42.hold_hashing is
  'The version of hash_columns and hash_secret that holds until the end of the transaction.';

-- The tasks of a run take turns.
select pg_advisory_xact_lock(hashtextextended('rewriting of hash_columns', 4242))

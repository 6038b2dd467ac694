-- Waits for all transactions that write by the settings of before.
select pg_advisory_xact_lock(hashtextextended('hash_columns', 4242))

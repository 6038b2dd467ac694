-- One process fetches a token while the others wait; the lock ends with the transaction.
select pg_advisory_xact_lock(hashtextextended('intra42.api_tokens ' || %(application)s, 0))

-- Both DAGs count the deletes of the last 24 hours: one at a time.
select pg_advisory_xact_lock(hashtextextended('deletes of ' || %(resource)s, 4242))

-- One run at a time; released at commit. The number is arbitrary, but ours.
select pg_advisory_xact_lock(4242, 1)

-- A transaction of the same task that holds our ledger row would block us for ever.
select set_config('lock_timeout', '30s', false), set_config('statement_timeout', '60s', false)

-- Until the end of the transaction: others wait for the lock as long as a token may take, and a host
-- that vanished holds it no longer than the server lets a transaction be idle.
select
  set_config('lock_timeout', '240s', true),
  set_config('statement_timeout', '0', true),
  set_config('idle_in_transaction_session_timeout', '600s', true)

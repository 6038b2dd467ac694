-- A figure that takes longer than this is not worth the load; for this transaction only.
select
  set_config('statement_timeout', %(timeout_ms)s::text, true),
  set_config('lock_timeout', %(timeout_ms)s::text, true)

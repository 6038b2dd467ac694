select
  set_config('statement_timeout', current_setting('intra42.statement_timeout'), true),
  set_config('lock_timeout', current_setting('intra42.lock_timeout'), true)

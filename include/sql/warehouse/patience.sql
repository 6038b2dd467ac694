-- For the one statement whose purpose is to wait, until `resume` gives back what was before.
select
  set_config('intra42.statement_timeout', current_setting('statement_timeout'), true),
  set_config('intra42.lock_timeout', current_setting('lock_timeout'), true),
  set_config('statement_timeout', '0', true),
  set_config('lock_timeout', '10min', true)

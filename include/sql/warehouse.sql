-- What each connection of ours begins with.

-- name: encoding
-- What we write is UTF8, whatever the client's environment says.
set client_encoding to 'UTF8'

-- name: listen
-- A session that is ours alone hears this between our statements.
listen {channel}

-- name: notify
-- Ask who hears the channel: the session that is ours alone.
select pg_notify(%(channel)s, '')

-- name: patience
-- For the one statement whose purpose is to wait, until `resume` gives back what was before.
select
  set_config('intra42.statement_timeout', current_setting('statement_timeout'), true),
  set_config('intra42.lock_timeout', current_setting('lock_timeout'), true),
  set_config('statement_timeout', '0', true),
  set_config('lock_timeout', '10min', true)

-- name: resume
-- The limits that were there before `patience`.
select
  set_config('statement_timeout', current_setting('intra42.statement_timeout'), true),
  set_config('lock_timeout', current_setting('intra42.lock_timeout'), true)

-- name: session
-- Constraints and history are kept by triggers, which a replica does not fire. Whether a session is
-- fresh shows in a name that nobody else gives it: a pooler hands out sessions that were used before.
do $$
begin
  if current_setting('session_replication_role') = 'replica' then
    begin
      perform set_config('session_replication_role', 'origin', false);
    exception
      when insufficient_privilege then null;
    end;
  end if;
end
$$
;
select
  coalesce(current_setting('intra42.session', true), '') <> '' as was_used,
  current_setting('session_replication_role') = 'replica' as fires_no_triggers,
  set_config('intra42.session', %(session)s, false)

-- name: settings
-- All that our code takes for granted, whatever the role, the database, the environment or the extra
-- of the connection have preset. What protects the server stays: statement_timeout, temp_file_limit,
-- and a database that may only be read. Names are looked up in pg_catalog first and then among our
-- temporary tables; the rest of the path stays, for what others hang on our tables.
select pg_catalog.set_config(
  'search_path',
  case
    when pg_catalog.starts_with(path, 'pg_catalog, pg_temp') then path
    when pg_catalog.texteq(path, '') then 'pg_catalog, pg_temp'
    else pg_catalog.concat('pg_catalog, pg_temp, ', path)
  end,
  %(local)s
)
from pg_catalog.current_setting('search_path') as path
;
-- A setting that an older server does not have is null here, and skipped.
select set_config(name, value, %(local)s)
from (
  values
    -- How values are written and read.
    ('client_encoding', 'UTF8'),
    ('datestyle', 'ISO, MDY'),
    ('intervalstyle', 'postgres'),
    ('bytea_output', 'hex'),
    ('extra_float_digits', '1'),
    -- What a statement means.
    ('standard_conforming_strings', 'on'),
    ('backslash_quote', 'safe_encoding'),
    ('array_nulls', 'on'),
    ('transform_null_equals', 'off'),
    ('quote_all_identifiers', 'off'),
    ('plpgsql.extra_errors', 'none'),
    ('exit_on_error', 'off'),
    -- Which rows it sees: all of them, or none and an error.
    ('row_security', 'off'),
    ('restrict_nonsystem_relation_kind', ''),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_deferrable', 'off'),
    -- To wait is normal here: for a turn, for an answer, for another task.
    ('lock_timeout', '0'),
    ('idle_session_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('transaction_timeout', '0')
) as wanted (name, value)
where current_setting(name, true) <> value
;
-- A role or a client that only reads by default is a habit; a database or a server is a decision.
select case
  when current_setting('default_transaction_read_only') = 'on'
    and (select source from pg_settings where name = 'default_transaction_read_only')
      in ('client', 'user', 'database user')
    then set_config('default_transaction_read_only', 'off', %(local)s)
end

-- name: whose
-- Which session a statement of this connection meets.
select pg_backend_pid(), current_setting('intra42.session', true)

-- name: in_utc
-- In any other zone Python computes by what the clocks there show, also where they change.
set timezone to 'UTC'

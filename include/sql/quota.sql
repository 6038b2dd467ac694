-- The limiter and the token that all workers share.

-- name: announced
-- The limits that the API has announced to anybody with this application.
select per_second, per_hour from intra42.api_limits where application = %(application)s

-- name: learn
-- The API announced its limits: they replace the configured ones for everybody.
insert into intra42.api_limits as mine (application, per_second, per_hour)
values (%(application)s, %(per_second)s, %(per_hour)s)
on conflict (application) do update
set per_second = coalesce(excluded.per_second, mine.per_second),
    per_hour = coalesce(excluded.per_hour, mine.per_hour)
where (mine.per_second, mine.per_hour) is distinct from
    (coalesce(excluded.per_second, mine.per_second), coalesce(excluded.per_hour, mine.per_hour))

-- name: limits
-- A transaction of the same task that holds our ledger row would block us for ever.
select set_config('lock_timeout', '30s', false), set_config('statement_timeout', '60s', false)

-- name: notice_lost_client
-- A statement ends soon after the client that sent it: a killed task holds its locks no longer, not
-- even while it waits for others. Where the server cannot see that, it does without. A machine that
-- vanished says nothing at all: the server asks, and lets go after a minute instead of two hours.
do $$
begin
  perform set_config('tcp_keepalives_idle', '30', false);
  perform set_config('tcp_keepalives_interval', '10', false);
  perform set_config('tcp_keepalives_count', '3', false);
  begin
    perform set_config('client_connection_check_interval', '500ms', false);
  exception
    when invalid_parameter_value then null;
  end;
end
$$

-- name: pause
-- Nobody sends for so many seconds. A pause only ever gets longer.
insert into intra42.api_limits as mine (application, paused_until)
values (
    %(application)s,
    coalesce(%(now)s, clock_timestamp()) + make_interval(secs => %(seconds)s)
)
on conflict (application) do update
set paused_until = greatest(mine.paused_until, excluded.paused_until)

-- name: reserve
-- Reserve a slot for one request; nothing is reserved when the wait is too long.
select wait_s, spent
from intra42.reserve_request(
    %(application)s, %(per_second)s, %(per_hour)s, %(bulk)s, %(max_wait_s)s, %(now)s
)

-- name: send
-- Count the request and draw its number right before it is sent; seq is null when it has to wait.
select seq, pause_s, gap_s, sent_at
from intra42.send_request(
    %(application)s, %(per_second)s, %(run_id)s, %(now)s, %(api_now)s
)

-- name: sent_late
-- A request went out so many seconds after it was counted: the second begins when it did.
update intra42.api_limits
set sent = array_replace(sent, %(sent_at)s, %(sent_at)s + make_interval(secs => %(late_s)s))
where application = %(application)s

-- name: token_forget
-- Forget a token the API refused, unless another has taken its place.
delete from intra42.api_tokens where application = %(application)s and token = %(token)s

-- name: token_lock
-- One process fetches a token while the others wait; the lock ends with the transaction.
select pg_advisory_xact_lock(hashtextextended('intra42.api_tokens ' || %(application)s, 0))

-- name: token_patience
-- Until the end of the transaction: others wait for the lock as long as a token may take, and a host
-- that vanished holds it no longer than the server lets a transaction be idle.
select
  set_config('lock_timeout', '240s', true),
  set_config('statement_timeout', '0', true),
  set_config('idle_in_transaction_session_timeout', '600s', true)

-- name: token_read
-- The shared token and the seconds it may still be used; no row when it is time for another.
select token, extract(epoch from renew_at - clock_timestamp())::float8 as seconds
from intra42.api_tokens
where application = %(application)s and renew_at > clock_timestamp()

-- name: token_write
-- Keep a fresh token, valid for so many seconds from when it was asked for.
insert into intra42.api_tokens (application, token, renew_at)
values (
    %(application)s, %(token)s, clock_timestamp() + make_interval(secs => %(seconds)s)
)
on conflict (application) do update
set token = excluded.token, renew_at = excluded.renew_at, fetched_at = excluded.fetched_at

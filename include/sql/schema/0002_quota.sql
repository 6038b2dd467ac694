-- What all workers share to stay within the application's quota: the limits and the pace of each
-- application, its requests by the minute, its token, and the number of each request.

create table intra42.api_limits (
  application text primary key,
  next_slot timestamptz,
  paused_until timestamptz,
  per_second double precision check (per_second > 0),
  per_hour integer check (per_hour > 0),
  ahead interval not null default '0',
  sent timestamptz[] not null default '{}',
  slots timestamptz[] not null default '{}'
) with (fillfactor = 20);
comment on table intra42.api_limits is
  'Pace of one API application, shared by all workers; the row is the lock of a reservation';
comment on column intra42.api_limits.application is 'Client id of the application';
comment on column intra42.api_limits.next_slot is 'When who has to wait is due next';
comment on column intra42.api_limits.paused_until is 'The API asked for silence until then';
comment on column intra42.api_limits.per_second is
  'Requests per second the API announced; null: not yet, the configured number holds';
comment on column intra42.api_limits.per_hour is
  'Requests per hour the API announced; null: not yet, the configured number holds';
comment on column intra42.api_limits.ahead is
  'The API''s clock less the database''s, as the answers show it; news of 5 seconds or more';
comment on column intra42.api_limits.sent is 'When the last requests were sent, newest first';
comment on column intra42.api_limits.slots is 'When the last requests were due, newest first';

create table intra42.api_usage (
  application text not null,
  minute timestamptz not null,
  bulk boolean not null,
  requests integer not null default 0,
  api_minute timestamptz not null,
  primary key (application, minute, api_minute, bulk)
) with (fillfactor = 50);
comment on table intra42.api_usage is 'Requests reserved per minute of the last two hours';
comment on column intra42.api_usage.application is 'Client id of the application';
comment on column intra42.api_usage.minute is 'Start of the minute, database clock';
comment on column intra42.api_usage.bulk is
  'Reserved by bulk work, which leaves room for the rest';
comment on column intra42.api_usage.requests is 'Requests reserved for that minute';
comment on column intra42.api_usage.api_minute is 'Start of the minute, API clock';

create table intra42.api_tokens (
  application text primary key,
  token bytea not null,
  renew_at timestamptz not null,
  fetched_at timestamptz not null default clock_timestamp()
);
comment on table intra42.api_tokens is 'Access token of one API application, for all workers';
comment on column intra42.api_tokens.application is 'Client id of the application';
comment on column intra42.api_tokens.token is
  'The token, encrypted with a key derived from the client secret';
comment on column intra42.api_tokens.renew_at is
  'When to ask for another, a little before it expires; database clock';
comment on column intra42.api_tokens.fetched_at is 'When it was received';

create sequence intra42.request_seq as bigint;
comment on sequence intra42.request_seq is
  'Drawn right before each request is sent: the order in which answers were asked for';

-- When the existence of a user's rows was last compared with the API, and users that vanished.
create table intra42.audits (
  resource text not null,
  user_id bigint not null references intra42.users on delete cascade,
  audited_at timestamptz not null,
  seq bigint not null,
  primary key (resource, user_id)
);
comment on table intra42.audits is
  'When the API was last seen to have exactly the mirror''s rows of a user, by table.';
comment on column intra42.audits.audited_at is 'The API''s clock.';
comment on column intra42.audits.seq is 'The number of the request that showed it.';

create table intra42.vanished_users (
  user_id bigint primary key references intra42.users on delete cascade,
  run_id text not null
);
comment on table intra42.vanished_users is
  'Users that one complete answer of each listing no longer showed; erased after a second one.';

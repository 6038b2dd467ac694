-- Columns that are stored hashed, and what is known of rows stored before they were.

create table intra42.hashed_columns (
  resource text not null,
  column_name text not null,
  fingerprint text,
  from_seq bigint not null,
  rewritten_to bigint,
  reread boolean not null,
  version bigint not null,
  changed_at timestamptz not null default now(),
  primary key (resource, column_name)
);
comment on table intra42.hashed_columns is
  'How the values of a column are stored since hash_columns or hash_secret last changed.';
comment on column intra42.hashed_columns.fingerprint is 'Of the key; null: the column is in clear text again.';
comment on column intra42.hashed_columns.from_seq is
  'What later requests showed is stored so; what earlier ones showed, once it is rewritten.';
comment on column intra42.hashed_columns.rewritten_to is
  'Rows up to this id are rewritten; null: all of them, or there is nothing to rewrite.';
comment on column intra42.hashed_columns.reread is
  'Whether earlier values have to be read again, because only the API has their clear text.';
comment on column intra42.hashed_columns.version is
  'Grows with each change; whoever works by an older one may not write any more.';

-- Called first in each transaction that writes: no settings change until it ends.
create function intra42.hold_hashing() returns bigint
language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('hash_columns', 4242));
  -- Each statement of a volatile function sees what was committed before it, and the lock was first.
  return (select coalesce(max(version), 0) from intra42.hashed_columns);
end
$$;
comment on function intra42.hold_hashing is
  'The version of hash_columns and hash_secret that holds until the end of the transaction.';

create table intra42.anonymised_users (
  user_id bigint primary key references intra42.users on delete cascade
);
comment on table intra42.anonymised_users is
  'Users whose stored login begins with 3b3- in clear text, which a hashed one no longer shows.';
insert into intra42.anonymised_users (user_id)
select id from intra42.users where login like '3b3-%';
create or replace function intra42.is_anonymised(account bigint) returns boolean language sql stable as $$
  select exists (select 1 from intra42.anonymised_users where user_id = account)
$$;

alter table intra42.tombstones add column row_seq bigint;
comment on column intra42.tombstones.row_seq is 'The number of the request that showed the row as it is kept here.';

alter table intra42.parked_records add column seq bigint;
comment on column intra42.parked_records.seq is 'The number of the request that showed the record last.';

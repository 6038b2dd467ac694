-- How long a listing was that is not read each night: what reading it would cost.
create table intra42.listing_totals (
  path text primary key,
  total bigint not null,
  seen_at timestamptz not null
);
comment on table intra42.listing_totals is
  'How many rows a listing had when it was last asked: tells which of two questions is cheaper.';
comment on column intra42.listing_totals.path is 'The path of the listing.';
comment on column intra42.listing_totals.total is 'Its rows, from X-Total.';
comment on column intra42.listing_totals.seen_at is 'The API''s clock.';

-- Where the audit stopped in a listing that takes several nights.
create table intra42.audit_positions (
  listing text primary key,
  after bigint not null check (after >= 0),
  moved_at timestamptz not null
);
comment on table intra42.audit_positions is
  'How far the nightly audit has compared a listing of students with the mirror; the next night goes on there.';
comment on column intra42.audit_positions.listing is 'The path of the listing, with its campuses.';
comment on column intra42.audit_positions.after is
  'The largest id that was compared; 0: the next night begins at the beginning.';
comment on column intra42.audit_positions.moved_at is 'The API''s clock.';

comment on column intra42.parked_records.payload is
  'Only the fields the catalogue reads; nothing where nobody knows whom the record is about.';

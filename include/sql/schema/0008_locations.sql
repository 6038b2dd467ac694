-- Who was at which computer, from when to when.

create table intra42.locations (
  id bigint primary key,
  user_id bigint not null references intra42.users,
  campus_id bigint not null references intra42.campuses,
  host text,
  "primary" boolean,
  begin_at timestamptz,
  end_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.locations (user_id);
create index on intra42.locations (campus_id, begin_at);
create index locations_open on intra42.locations (id) where end_at is null;

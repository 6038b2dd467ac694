-- What each coalition was given, and for what.

create table intra42.scores (
  id bigint primary key,
  coalition_id bigint not null references intra42.coalitions,
  coalitions_user_id bigint,
  calculation_id bigint,
  scoreable_id bigint,
  scoreable_type text,
  value bigint,
  reason text,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create unique index on intra42.scores (coalition_id, id);
create index on intra42.scores (coalitions_user_id);

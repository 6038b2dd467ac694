-- Milestones, and who has reached them.

create table intra42.quests (
  id bigint primary key,
  name text,
  slug text,
  kind text,
  internal_name text,
  description text,
  cursus_id bigint references intra42.cursus,
  campus_id bigint references intra42.campuses,
  grade_id bigint,
  position integer,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.quests (cursus_id);
create index on intra42.quests (campus_id);

create table intra42.quests_users (
  id bigint primary key,
  quest_id bigint not null references intra42.quests,
  user_id bigint not null references intra42.users,
  end_at timestamptz,
  validated_at timestamptz,
  prct double precision,
  advancement text,
  created_at timestamptz,
  updated_at timestamptz,
  _synced_at timestamptz not null,
  _run_id text,
  _seq bigint not null
);
create index on intra42.quests_users (user_id);
create index on intra42.quests_users (quest_id);

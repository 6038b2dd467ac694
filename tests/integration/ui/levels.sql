-- What the page needs of the history of levels, for a schema that does not have it yet.
create table if not exists intra42.cursus_users_levels (
  number bigint generated always as identity primary key,
  cursus_user_id bigint not null,
  user_id bigint not null,
  cursus_id bigint not null,
  previous_level double precision,
  level double precision,
  grade text,
  found_by text not null check (found_by in ('first', 'event', 'refresh', 'nightly')),
  observed_at timestamptz not null,
  unseen_since timestamptz,
  dag_id text,
  run_id text
);

create or replace view intra42.levels_recomputed_silently as
select
  cursus_user_id,
  user_id,
  cursus_id,
  previous_level,
  level,
  unseen_since,
  observed_at,
  observed_at - unseen_since as unseen_for,
  found_by,
  dag_id,
  run_id
from intra42.cursus_users_levels
where found_by in ('refresh', 'nightly');

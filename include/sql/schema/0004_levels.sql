-- Every level that was observed, and how: Intra recomputes levels without a trace, and keeps none of the
-- old ones. The functions that add to it are in functions/levels.sql.

create table intra42.cursus_users_levels (
  number bigint generated always as identity not null,
  cursus_user_id bigint not null,
  user_id bigint not null,
  cursus_id bigint not null,
  previous_level double precision,
  level double precision,
  found_by text not null check (found_by in ('first', 'event', 'refresh', 'nightly')),
  observed_at timestamptz not null,
  unseen_since timestamptz,
  dag_id text,
  run_id text,
  primary key (cursus_user_id, number)
);
create index on intra42.cursus_users_levels (user_id);
-- Times only grow, so a few pages say where which of them are.
create index on intra42.cursus_users_levels using brin (observed_at);
comment on table intra42.cursus_users_levels is
  'Levels of enrolments as they were observed, oldest first; only ever added to. No foreign keys: it outlives a deleted enrolment, not an erased or anonymised account.';
comment on column intra42.cursus_users_levels.number is
  'In the order of storing; gaps mean nothing.';
comment on column intra42.cursus_users_levels.cursus_user_id is
  'The enrolment: cursus_users.id, also when that was deleted since.';
comment on column intra42.cursus_users_levels.previous_level is
  'The level that the mirror had before; null at first.';
comment on column intra42.cursus_users_levels.level is 'The level from then on.';
comment on column intra42.cursus_users_levels.found_by is
  'first: the enrolment was new to the mirror; event: updated_at moved with the level; else silently, found by the nightly or by a refresh of another run.';
comment on column intra42.cursus_users_levels.observed_at is
  'The API''s clock when it showed this level.';
comment on column intra42.cursus_users_levels.unseen_since is
  'The API''s clock when it last showed the previous level: the change happened between then and observed_at. Null at first.';
comment on column intra42.cursus_users_levels.dag_id is
  'The DAG that stored it; null for what was there before the history began.';
comment on column intra42.cursus_users_levels.run_id is 'The Airflow run that stored it.';

-- What is there already is where its history begins.
insert into intra42.cursus_users_levels
  (cursus_user_id, user_id, cursus_id, level, found_by, observed_at, run_id)
select e.id, e.user_id, e.cursus_id, e.level, 'first', e._synced_at, e._run_id
from intra42.cursus_users as e
where not exists (select 1 from intra42.anonymised_users as a where a.user_id = e.user_id)
order by e.id;

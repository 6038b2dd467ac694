-- Every level that was observed, and how: Intra recomputes levels without a trace, and keeps none of
-- the old ones.

create table intra42.cursus_users_levels (
  number bigint generated always as identity primary key,
  cursus_user_id bigint not null,
  user_id bigint not null,
  cursus_id bigint not null,
  previous_level double precision,
  level double precision,
  found_by text not null check (found_by in ('first', 'event', 'refresh', 'nightly')),
  observed_at timestamptz not null,
  unseen_since timestamptz,
  dag_id text,
  run_id text
);
create index on intra42.cursus_users_levels (cursus_user_id, number);
create index on intra42.cursus_users_levels (user_id);
create index on intra42.cursus_users_levels (observed_at);
comment on table intra42.cursus_users_levels is
  'Levels of enrolments as they were observed, oldest first; only ever added to. No foreign keys: it outlives a deleted enrolment, not an erased or anonymised account.';
comment on column intra42.cursus_users_levels.number is 'In the order of storing; gaps mean nothing.';
comment on column intra42.cursus_users_levels.cursus_user_id is 'The enrolment: cursus_users.id, also when that was deleted since.';
comment on column intra42.cursus_users_levels.previous_level is 'The level that the mirror had before; null at first.';
comment on column intra42.cursus_users_levels.level is 'The level from then on.';
comment on column intra42.cursus_users_levels.found_by is
  'first: the enrolment was new to the mirror; event: updated_at moved with the level; else silently, found by the nightly or by a refresh of another run.';
comment on column intra42.cursus_users_levels.observed_at is 'The API''s clock when it showed this level.';
comment on column intra42.cursus_users_levels.unseen_since is
  'The API''s clock when it last showed the previous level: the change happened between then and observed_at. Null at first.';
comment on column intra42.cursus_users_levels.dag_id is 'The DAG that stored it; null for what was there before the history began.';
comment on column intra42.cursus_users_levels.run_id is 'The Airflow run that stored it.';

create function intra42.is_anonymised(account bigint) returns boolean language sql stable as $$
  select exists (select 1 from intra42.users where id = account and login like '3b3-%')
$$;
comment on function intra42.is_anonymised is 'Whether the API has taken an account''s name away: a 3b3- login.';

-- The history belongs to the write itself, whoever writes: only there is the version that was replaced
-- known for sure, also where two runs write at once. One call per statement, not per row. An
-- anonymised account has no history.
create function intra42.note_first_levels() returns trigger language plpgsql as $$
begin
  insert into intra42.cursus_users_levels
    (cursus_user_id, user_id, cursus_id, level, found_by, observed_at, dag_id, run_id)
  select
    fresh.id, fresh.user_id, fresh.cursus_id, fresh.level, 'first', fresh._synced_at,
    nullif(current_setting('intra42.dag_id', true), ''), fresh._run_id
  from fresh
  cross join lateral (
    -- A deleted enrolment that is back at its old level has nothing to add.
    select not exists (
      select 1
      from (
        select h.level
        from intra42.cursus_users_levels as h
        where h.cursus_user_id = fresh.id
        order by h.number desc
        limit 1
      ) as latest
      where latest.level is not distinct from fresh.level
    ) as is_news
  ) as known
  where known.is_news and not intra42.is_anonymised(fresh.user_id)
  order by fresh.id;
  return null;
end
$$;
comment on function intra42.note_first_levels() is 'Adds the level of new enrolments to their history.';

create function intra42.note_changed_levels() returns trigger language plpgsql as $$
begin
  insert into intra42.cursus_users_levels
    (cursus_user_id, user_id, cursus_id, previous_level, level, found_by, observed_at,
     unseen_since, dag_id, run_id)
  select
    fresh.id, fresh.user_id, fresh.cursus_id, stale.level, fresh.level,
    case
      when fresh.updated_at is distinct from stale.updated_at then 'event'
      when current_setting('intra42.loads', true) = 'true' then 'nightly'
      else 'refresh'
    end,
    fresh._synced_at,
    -- Answers that cross may carry times that cross.
    least(
      case when v.seq > stale._seq then v.checked_at else stale._synced_at end, fresh._synced_at
    ),
    nullif(current_setting('intra42.dag_id', true), ''), fresh._run_id
  from fresh
  join stale on stale.id = fresh.id
  left join intra42.verifications as v on v.resource = 'cursus_users' and v.id = fresh.id
  where fresh.level is distinct from stale.level and not intra42.is_anonymised(fresh.user_id)
  order by fresh.id;
  return null;
end
$$;
comment on function intra42.note_changed_levels() is 'Adds changed levels to the history of their enrolments.';

create trigger note_first_levels
  after insert on intra42.cursus_users
  referencing new table as fresh
  for each statement execute function intra42.note_first_levels();
create trigger note_changed_levels
  after update on intra42.cursus_users
  referencing old table as stale new table as fresh
  for each statement execute function intra42.note_changed_levels();

-- What is there already is where its history begins.
insert into intra42.cursus_users_levels
  (cursus_user_id, user_id, cursus_id, level, found_by, observed_at, run_id)
select e.id, e.user_id, e.cursus_id, e.level, 'first', e._synced_at, e._run_id
from intra42.cursus_users as e
where not intra42.is_anonymised(e.user_id)
order by e.id;

create view intra42.levels_recomputed_silently as
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
comment on view intra42.levels_recomputed_silently is
  'Levels that changed while updated_at stayed; unseen_for is the longest that each can have been wrong in the mirror.';

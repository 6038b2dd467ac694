-- The history of levels belongs to the write itself, whoever writes: only there is the version that was
-- replaced known for sure, also where two runs write at once. One call per statement, not per row. An
-- anonymised account has no history.

create or replace function intra42.is_anonymised(account bigint) returns boolean language sql stable as $$
  select exists (select 1 from intra42.anonymised_users where user_id = account)
$$;
comment on function intra42.is_anonymised is 'Whether the API has taken an account''s name away: a 3b3- login.';

-- What a listing shows is a range of ids: where the history has nothing in it, no enrolment is looked for.
-- A function that reads a table is called once a row; written out, its query is part of the plan, and
-- `offset 0` keeps it a look at one account. The plan is kept for as long as the session, and made when
-- the history is empty: without the setting it would read all of it for each row.
create or replace function intra42.note_first_levels() returns trigger language plpgsql
set enable_seqscan = off as $$
begin
  insert into intra42.cursus_users_levels
    (cursus_user_id, user_id, cursus_id, level, found_by, observed_at, dag_id, run_id)
  select
    fresh.id, fresh.user_id, fresh.cursus_id, fresh.level, 'first', fresh._synced_at,
    nullif(current_setting('intra42.dag_id', true), ''), fresh._run_id
  from fresh
  -- A deleted enrolment that is back at its old level has nothing to add.
  where (
      coalesce(
        (
          select h.cursus_user_id
          from intra42.cursus_users_levels as h
          where h.cursus_user_id >= (select min(id) from fresh)
          order by h.cursus_user_id
          limit 1
        ) > (select max(id) from fresh),
        true
      )
      or not exists (
        select 1
        from (
          select h.level
          from intra42.cursus_users_levels as h
          where h.cursus_user_id = fresh.id
          order by h.number desc
          limit 1
        ) as latest
        where latest.level is not distinct from fresh.level
      )
    )
    and not exists (
      select 1
      from intra42.anonymised_users as a
      where a.user_id = fresh.user_id
      offset 0
    )
  order by fresh.id;
  return null;
end
$$;
comment on function intra42.note_first_levels is 'Adds the level of new enrolments to their history.';

create or replace function intra42.note_changed_levels() returns trigger language plpgsql as $$
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
comment on function intra42.note_changed_levels is 'Adds changed levels to the history of their enrolments.';

create or replace trigger note_first_levels
  after insert on intra42.cursus_users
  referencing new table as fresh
  for each statement execute function intra42.note_first_levels();
create or replace trigger note_changed_levels
  after update on intra42.cursus_users
  referencing old table as stale new table as fresh
  for each statement execute function intra42.note_changed_levels();

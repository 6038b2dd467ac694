-- The history of levels, cheaper to write: a first load adds a row for each enrolment.

-- Times only grow, so a few pages say where which of them are.
create index on intra42.cursus_users_levels using brin (observed_at);
drop index intra42.cursus_users_levels_observed_at_idx;

-- A function that reads a table is called once a row; written out, its query is part of the plan,
-- and `offset 0` keeps it a look at one account. The plan is kept for as long as the session, and
-- made when the history is empty: without the setting it would read all of it for each row.
create or replace function intra42.note_first_levels() returns trigger language plpgsql
set enable_seqscan = off as $$
begin
  insert into intra42.cursus_users_levels
    (cursus_user_id, user_id, cursus_id, level, found_by, observed_at, dag_id, run_id)
  select
    fresh.id, fresh.user_id, fresh.cursus_id, fresh.level, 'first', fresh._synced_at,
    nullif(current_setting('intra42.dag_id', true), ''), fresh._run_id
  from fresh
  left join lateral (
    select h.number, h.level
    from intra42.cursus_users_levels as h
    where h.cursus_user_id = fresh.id
    order by h.number desc
    limit 1
  ) as latest on true
  -- A deleted enrolment that is back at its old level has nothing to add.
  where (latest.number is null or latest.level is distinct from fresh.level)
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

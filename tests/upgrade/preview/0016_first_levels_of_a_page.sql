-- The history of levels, cheaper to write once more. What a listing shows is a range of ids: where the
-- history has nothing in it, no enrolment is looked for.
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

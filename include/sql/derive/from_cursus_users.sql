-- achievements_users.cursus_id of these users (all of them where ids is null). Returns
-- how many rows changed, by table.
with first_cursus as materialized (
  select u.id as user_id, e.cursus_id
  from intra42.users as u
  left join (
    select distinct on (user_id) user_id, cursus_id
    from intra42.cursus_users
    where cursus_id = any(%(all_cursus_ids)s::bigint[])
      and (%(ids)s::bigint[] is null or user_id = any(%(ids)s::bigint[]))
    order by user_id, array_position(%(all_cursus_ids)s::bigint[], cursus_id)
  ) as e on e.user_id = u.id
  where %(ids)s::bigint[] is null or u.id = any(%(ids)s::bigint[])
),
followed as (
  update intra42.achievements_users as a
  set cursus_id = first_cursus.cursus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from first_cursus
  where first_cursus.user_id = a.user_id and a.cursus_id is distinct from first_cursus.cursus_id
    and (%(ids)s::bigint[] is null or a.user_id = any(%(ids)s::bigint[]))
  returning a.id
)
select 'achievements_users', count(*) from followed

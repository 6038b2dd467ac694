-- achievements_users.cursus_id of these users (all of them where ids is null). Returns
-- how many rows changed, by table. `materialized` asks once a user, not once for each of his rows.
with owners as (
  select distinct a.user_id
  from intra42.achievements_users as a
  where %(ids)s::bigint[] is null or a.user_id = any(%(ids)s::bigint[])
),
first_cursus as materialized (
  select owners.user_id, (
    select e.cursus_id
    from intra42.cursus_users as e
    where e.user_id = owners.user_id and e.cursus_id = any(%(all_cursus_ids)s::bigint[])
    order by array_position(%(all_cursus_ids)s::bigint[], e.cursus_id)
    limit 1
  ) as cursus_id
  from owners
),
followed as (
  update intra42.achievements_users as a
  set cursus_id = first_cursus.cursus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from first_cursus
  where first_cursus.user_id = a.user_id and a.cursus_id is distinct from first_cursus.cursus_id
  returning a.id
)
select 'achievements_users', count(*) from followed

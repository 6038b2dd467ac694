-- coalitions_users.campus_id follows the coalition's. Returns how many rows changed, by table.
with followed as (
  update intra42.coalitions_users as m
  set campus_id = c.campus_id, _synced_at = %(synced_at)s, _run_id = %(run_id)s
  from intra42.coalitions as c
  where c.id = m.coalition_id
    and (%(ids)s::bigint[] is null or c.id = any(%(ids)s::bigint[]))
    and m.campus_id is distinct from c.campus_id
  returning m.id
)
select 'coalitions_users', count(*) from followed

left join lateral (
  select e.cursus_id
  from intra42.cursus_users as e
  where e.user_id = staged.user_id and e.cursus_id = any(%(all_cursus_ids)s::bigint[])
  order by array_position(%(all_cursus_ids)s::bigint[], e.cursus_id)
  limit 1
) as derived on true

left join lateral (
  select m.campus_id
  from intra42.campus_users as m
  where m.user_id = staged.id and m.is_primary
  order by m.id desc
  limit 1
) as derived on true

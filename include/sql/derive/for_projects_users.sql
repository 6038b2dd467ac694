-- The users of a page are looked up together; `offset` keeps the planner from doing so row by row.
left join (
  select u.id, u.campus_id
  from intra42.users as u
  where u.id = any(array(select distinct user_id from {stage}))
  offset 0
) as derived on derived.id = staged.user_id

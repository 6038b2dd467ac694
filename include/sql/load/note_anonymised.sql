-- Whose login, as it is stored now, begins with 3b3-: seen before it was hashed.
with shown as (
  select u.id, u.id = any(%(anonymised)s::bigint[]) as anonymised
  from {stage} as staged
  join intra42.users as u on u.id = staged.id and u.login = staged.login
),
named as (
  delete from intra42.anonymised_users as a
  using shown
  where a.user_id = shown.id and not shown.anonymised
)
insert into intra42.anonymised_users (user_id)
select id from shown where anonymised
on conflict (user_id) do nothing

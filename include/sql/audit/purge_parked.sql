-- Parked records of people who are not mirrored: from before scope was decided first, or of somebody
-- who has left the mirror. Whose record says that they are students may still enter it.
with owned as (
  select
    p.number,
    p.resource,
    p.payload,
    case
      when p.resource = 'users' then p.id::text
      else coalesce(p.payload ->> 'user.id', p.payload ->> 'user_id')
    end as owner
  from intra42.parked_records as p
  where p.resource = 'users' or p.resource = any(%(tables)s::text[])
),
outside as (
  select owned.number
  from owned
  where owned.owner is not null
    and not exists (select 1 from intra42.users as u where u.id::text = owned.owner)
    and not (
      owned.resource = 'users'
      and owned.payload ->> 'kind' = 'student'
      and owned.payload ->> 'alumni?' is distinct from 'true'
    )
),
gone as (
  delete from intra42.parked_records as p using outside where p.number = outside.number
),
-- Nobody knows whom these are about.
emptied as (
  update intra42.parked_records as p
  set payload = '{}'
  from owned
  where p.number = owned.number and owned.owner is null and p.payload <> '{}'
)
select count(*) from outside

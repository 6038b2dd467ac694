-- Mirrored users that a listing of students of this cursus, and of these campuses, shows behind an id,
-- and accounts that had to be put aside.
select
  (
    select count(*)
    from intra42.users as u
    where u.kind = 'student'
      and u.alumni is false
      and u.id > %(after)s
      and not exists (select 1 from intra42.anonymised_users as a where a.user_id = u.id)
      and (%(campuses)s::bigint[] is null or u.campus_id = any(%(campuses)s::bigint[]))
      and exists (
        select 1
        from intra42.cursus_users as e
        where e.user_id = u.id and e.cursus_id = %(cursus_id)s
      )
  ) + (
    select count(*)
    from intra42.parked_records as p
    where p.resource = 'users'
      and p.id > %(after)s
      and not exists (select 1 from intra42.users as u where u.id = p.id)
  )

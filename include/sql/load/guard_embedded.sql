-- Nested users may be stale copies: only a later updated_at, or an anonymised login, is news. Of an
-- anonymised account, which is listed no longer, only a nested copy has the values to be read again.
excluded.updated_at > mine.updated_at
or (
  excluded.id = any(%(anonymised)s::bigint[])
  and (
    not exists (select 1 from intra42.anonymised_users as a where a.user_id = mine.id)
    or (excluded.updated_at = mine.updated_at and mine._seq <= %(reread_seq)s::bigint)
  )
)

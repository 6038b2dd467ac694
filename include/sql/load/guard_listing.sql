-- Later updated_at wins; at equal or absent updated_at the later request does. A time in the future
-- proves nothing, so it does not protect a row.
excluded.updated_at > mine.updated_at
or (
  (
    excluded.updated_at is null
    or mine.updated_at is null
    or excluded.updated_at = mine.updated_at
    or mine.updated_at > excluded._synced_at
  )
  and {later_request}
)

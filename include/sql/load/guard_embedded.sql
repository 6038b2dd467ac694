-- Nested users may be stale copies: only a later updated_at, or an anonymised login, is news.
excluded.updated_at > mine.updated_at
or (excluded.login like '3b3-%%' and mine.login not like '3b3-%%')

-- Only forward, except that a watermark later than the API's clock was wrong. The one before is kept:
-- should this one turn out to be wrong, reading goes on from there.
insert into intra42.sync_state as s (dag_id, resource, scope, watermark, updated_at)
select %(dag_id)s, %(resource)s, scope, %(watermark)s, now()
from unnest(%(scopes)s::text[]) as scope
on conflict (dag_id, resource, scope) do update set
  before = case when s.watermark > %(now)s then s.before else s.watermark end,
  watermark = excluded.watermark,
  updated_at = excluded.updated_at
where s.watermark < excluded.watermark or s.watermark > %(now)s

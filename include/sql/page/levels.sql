-- Levels that changed without a new updated_at, by how long the change may have stayed unseen.
select
  width_bucket(extract(epoch from unseen_for)::bigint, %(edges)s::bigint[]) as bucket,
  found_by,
  count(*) as levels
from intra42.levels_recomputed_silently
where observed_at > now() - %(span)s::interval and unseen_for is not null
group by 1, 2
order by 1, 2

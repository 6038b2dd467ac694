select
  count(*) as levels,
  extract(epoch from percentile_disc(0.5) within group (order by unseen_for))::float8 as median_s,
  extract(epoch from percentile_disc(0.9) within group (order by unseen_for))::float8 as most_s,
  extract(epoch from max(unseen_for))::float8 as longest_s
from intra42.levels_recomputed_silently
where observed_at > now() - %(span)s::interval and unseen_for is not null

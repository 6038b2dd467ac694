-- Achievements the mirror has; those among them that the API never gave; those of these campuses.
select
  count(*),
  count(*) filter (where mine.name is null),
  count(*) filter (
    where exists (
      select 1
      from intra42.campus_achievements as pair
      where pair.achievement_id = mine.id and pair.campus_id = any(%(campuses)s::bigint[])
    )
  )
from intra42.achievements as mine

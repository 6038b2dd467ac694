-- A row that was found gone by a later request than the one that shows it stays gone.
select {values}, answer.date as _synced_at, answer.seq as _seq
from {stage} as staged
{answer}
{derived}
where not exists (
  select 1
  from intra42.tombstones as grave
  where grave.resource = %(resource)s and grave.id = staged.id and grave.seq >= answer.seq
)

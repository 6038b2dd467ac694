-- A row that was found gone by a later request than the one that shows it stays gone.
select {values}, staged._synced_at, staged._seq
from {stage} as staged
{derived}
where not exists (
  select 1
  from intra42.tombstones as grave
  where grave.resource = %(resource)s and grave.id = staged.id and grave.seq >= staged._seq
)

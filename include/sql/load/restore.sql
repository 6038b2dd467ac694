-- Ids that the API shows again after they were found gone.
update intra42.tombstones as grave
set restored_at = staged._synced_at
from {stage} as staged
where grave.resource = %(resource)s
  and grave.id = staged.id
  and grave.restored_at is null
  and grave.seq < staged._seq

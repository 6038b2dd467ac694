-- What the API shows is neither parked nor gone any more.
with unparked as (
  delete from intra42.parked_records as p
  using {stage} as staged
  where p.resource = %(resource)s and p.id = staged.id
)
update intra42.tombstones as grave
set restored_at = answer.date
from {stage} as staged
{answer}
where grave.resource = %(resource)s
  and grave.id = staged.id
  and grave.restored_at is null
  and grave.seq < answer.seq

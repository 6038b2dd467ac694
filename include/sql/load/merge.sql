-- Merge the staged rows. A row only moves forward: the guard decides whether the staged version is
-- newer than mine. Equal rows are not rewritten. A row that was found gone by a later request than
-- this one stays gone.
with merged as (
  insert into {target} as mine ({columns}, _synced_at, _run_id, _seq)
  select {columns}, %(synced_at)s, %(run_id)s, %(seq)s
  from {stage} as staged
  where not exists (
    select 1
    from intra42.tombstones as grave
    where grave.resource = %(resource)s and grave.id = staged.id and grave.seq >= %(seq)s
  )
  order by staged.id
  on conflict (id) do update set
    {assignments},
    _synced_at = excluded._synced_at,
    _run_id = excluded._run_id,
    _seq = excluded._seq
  where ({mine}) is distinct from ({excluded}) and ({guard})
  returning (xmax = 0) as inserted
)
select count(*) filter (where inserted), count(*) filter (where not inserted) from merged

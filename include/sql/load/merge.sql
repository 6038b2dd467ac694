-- Merge the staged rows. A row only moves forward: the guard decides whether the staged version is
-- newer than mine. Equal rows are not rewritten.
with merged as (
  insert into {target} as mine ({columns}, _synced_at, _run_id, _seq)
  select {columns}, fresh._synced_at, %(run_id)s, fresh._seq
  from ({fresh}) as fresh
  order by fresh.id
  on conflict (id) do update set
    {assignments},
    _synced_at = excluded._synced_at,
    _run_id = excluded._run_id,
    _seq = excluded._seq
  where ({mine}) is distinct from ({excluded}) and ({guard})
  returning (xmax = 0) as inserted
)
select count(*) filter (where inserted), count(*) filter (where not inserted) from merged

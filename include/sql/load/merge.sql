-- Merge the staged rows. A row only moves forward: the guard decides whether the staged version is
-- newer than mine. Equal rows are not rewritten, but noted as verified by this request. A row that
-- was found gone by a later request than this one stays gone.
with fresh as (
  select {fresh}, staged._synced_at, staged._seq
  from {stage} as staged
  where not exists (
    select 1
    from intra42.tombstones as grave
    where grave.resource = %(resource)s and grave.id = staged.id and grave.seq >= staged._seq
  )
),
merged as (
  insert into {target} as mine ({columns}, _synced_at, _run_id, _seq)
  select {columns}, fresh._synced_at, %(run_id)s, fresh._seq
  from fresh
  order by fresh.id
  on conflict (id) do update set
    {assignments},
    _synced_at = excluded._synced_at,
    _run_id = excluded._run_id,
    _seq = excluded._seq
  where ({mine}) is distinct from ({excluded}) and ({guard})
  returning id, (xmax = 0) as inserted
),
-- What was not merged is equal, or newer than what was staged. The stage is never analysed, so the
-- lateral subquery keeps the planner from scanning the target.
verified as (
  insert into intra42.verifications as v (resource, id, checked_at, seq)
  select %(resource)s, fresh.id, fresh._synced_at, fresh._seq
  from fresh
  cross join lateral (
    select ({mine}) is not distinct from ({as_fresh}) as equal
    from {target} as mine
    where mine.id = fresh.id
    offset 0
  ) as stored
  where fresh.id not in (select id from merged) and stored.equal
  order by fresh.id
  on conflict (resource, id) do update set checked_at = excluded.checked_at, seq = excluded.seq
  where v.seq < excluded.seq
)
select count(*) filter (where inserted), count(*) filter (where not inserted) from merged

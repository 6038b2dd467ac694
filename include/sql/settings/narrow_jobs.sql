-- Unfinished first loads and full refreshes no longer end in a watermark of what nobody asks for.
with kept as (
  select
    j.id,
    j.resource,
    j.scopes as before,
    array(
      select scope
      from unnest(j.scopes) as scope
      where (j.resource, scope) in (
        select w.resource, w.scope
        from unnest(%(resources)s::text[], %(scopes)s::text[]) as w (resource, scope)
      )
    ) as scopes
  from intra42.jobs as j
  where j.dag_id = %(dag_id)s and j.finished_at is null
),
written as (
  update intra42.jobs as j
  set scopes = kept.scopes
  from kept
  where j.id = kept.id and cardinality(kept.before) > cardinality(kept.scopes)
)
select kept.resource, scope
from kept, unnest(kept.before) as scope
where scope <> all(kept.scopes)

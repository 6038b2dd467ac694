-- A listing that serves several scopes is read to its end, and speaks for those that are left.
with kept as (
  select
    leg.job_id,
    leg.number,
    j.resource,
    array(
      select scope
      from unnest(leg.scopes) as scope
      where (j.resource, scope) in (
        select w.resource, w.scope
        from unnest(%(resources)s::text[], %(scopes)s::text[]) as w (resource, scope)
      )
    ) as scopes
  from intra42.legs as leg
  join intra42.jobs as j on j.id = leg.job_id
  where j.dag_id = %(dag_id)s and j.finished_at is null
),
narrowed as (
  select leg.job_id, leg.number, kept.resource, kept.scopes, leg.scopes as before
  from kept
  join intra42.legs as leg on leg.job_id = kept.job_id and leg.number = kept.number
  where cardinality(leg.scopes) > cardinality(kept.scopes)
),
written as (
  update intra42.legs as leg
  set scopes = narrowed.scopes
  from narrowed
  where leg.job_id = narrowed.job_id and leg.number = narrowed.number
)
select narrowed.resource, scope
from narrowed, unnest(narrowed.before) as scope
where scope <> all(narrowed.scopes)

-- Unfinished listings that serve only scopes nobody asks for.
delete from intra42.legs as leg
using intra42.jobs as j
where j.id = leg.job_id
  and j.dag_id = %(dag_id)s
  and j.finished_at is null
  and cardinality(leg.scopes) > 0
  and not leg.scopes && array(
    select w.scope
    from unnest(%(resources)s::text[], %(scopes)s::text[]) as w (resource, scope)
    where w.resource = j.resource
  )
returning j.resource, leg.scopes[1]

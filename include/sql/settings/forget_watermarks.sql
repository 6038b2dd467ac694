delete from intra42.sync_state as s
where s.dag_id = %(dag_id)s
  and (s.resource, s.scope) not in (
    select resource, scope from unnest(%(resources)s::text[], %(scopes)s::text[]) as w (resource, scope)
  )
returning s.resource, s.scope

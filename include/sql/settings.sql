-- What the last run by each variable used, and what it forgets.

-- name: forget_jobs
-- Jobs that have nothing left to read, nor a scope to speak for.
delete from intra42.jobs as j
where j.dag_id = %(dag_id)s
  and j.finished_at is null
  and j.kind in ('window', 'first', 'full')
  and cardinality(j.scopes) = 0
  and not exists (select 1 from intra42.partitions as p where p.job_id = j.id)

-- name: forget_partitions
-- Unfinished listings that serve only scopes nobody asks for.
delete from intra42.partitions as p
using intra42.jobs as j
where j.id = p.job_id
  and p.job_id = any(array(
    select id
    from intra42.jobs
    where dag_id = %(dag_id)s and finished_at is null and not own
  ))
  and cardinality(p.scopes) > 0
  and not p.scopes && array(
    select w.scope
    from unnest(%(resources)s::text[], %(scopes)s::text[]) as w (resource, scope)
    where w.resource = j.resource
  )
returning j.resource, p.scopes[1]

-- name: forget_watermarks
-- How far scopes were read that nobody asks for.
delete from intra42.sync_state as s
where s.dag_id = %(dag_id)s
  and (s.resource, s.scope) not in (
    select resource, scope from unnest(%(resources)s::text[], %(scopes)s::text[]) as w (resource, scope)
  )
returning s.resource, s.scope

-- name: found
-- The settings used last, by variable, in each row; and how columns are stored, as hashing/declared.
-- One row at least, so that a task asks once.
select
  s.used, c.resource, c.column_name, c.fingerprint, c.from_seq, c.reread, c.version
from (select coalesce(jsonb_object_agg(variable, used), '{}') as used from intra42.settings) as s
left join intra42.hashed_columns as c on true
order by c.resource, c.column_name

-- name: narrow_jobs
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

-- name: narrow_partitions
-- A listing that serves several scopes is read to its end, and speaks for those that are left.
with kept as (
  select
    p.job_id,
    p.number,
    j.resource,
    array(
      select scope
      from unnest(p.scopes) as scope
      where (j.resource, scope) in (
        select w.resource, w.scope
        from unnest(%(resources)s::text[], %(scopes)s::text[]) as w (resource, scope)
      )
    ) as scopes
  from intra42.partitions as p
  join intra42.jobs as j on j.id = p.job_id
  where p.job_id = any(array(
    select id
    from intra42.jobs
    where dag_id = %(dag_id)s and finished_at is null and not own
  ))
),
narrowed as (
  select p.job_id, p.number, kept.resource, kept.scopes, p.scopes as before
  from kept
  join intra42.partitions as p on p.job_id = kept.job_id and p.number = kept.number
  where cardinality(p.scopes) > cardinality(kept.scopes)
),
written as (
  update intra42.partitions as p
  set scopes = narrowed.scopes
  from narrowed
  where p.job_id = narrowed.job_id and p.number = narrowed.number
)
select narrowed.resource, scope
from narrowed, unnest(narrowed.before) as scope
where scope <> all(narrowed.scopes)

-- name: remember
-- Whom other settings found outside may be inside by these.
with changed as (
  delete from intra42.outsiders where %(scope_changed)s::boolean
)
insert into intra42.settings as s (variable, used, dag_id, run_id)
values (%(variable)s, %(used)s, %(dag_id)s, %(run_id)s)
on conflict (variable) do update set
  used = excluded.used,
  dag_id = excluded.dag_id,
  run_id = excluded.run_id,
  changed_at = excluded.changed_at
where s.used <> excluded.used

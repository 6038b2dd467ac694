-- A row that a request wrote says itself when it was shown (_synced_at, _seq): only those that were
-- shown unchanged are noted elsewhere. A first load writes each row once, not twice.

alter table intra42.checks rename to verifications;
alter table intra42.verifications rename constraint checks_pkey to verifications_pkey;
comment on table intra42.verifications is 'When a row was last shown unchanged, if it was since it was written.';

create view intra42.checks as
with shown as (
  select 'cursus' as resource, id, _synced_at, _seq from intra42.cursus
  union all
  select 'campuses', id, _synced_at, _seq from intra42.campuses
  union all
  select 'projects', id, _synced_at, _seq from intra42.projects
  union all
  select 'achievements', id, _synced_at, _seq from intra42.achievements
  union all
  select 'coalitions', id, _synced_at, _seq from intra42.coalitions
  union all
  select 'users', id, _synced_at, _seq from intra42.users
  union all
  select 'campus_users', id, _synced_at, _seq from intra42.campus_users
  union all
  select 'cursus_users', id, _synced_at, _seq from intra42.cursus_users
  union all
  select 'projects_users', id, _synced_at, _seq from intra42.projects_users
  union all
  select 'achievements_users', id, _synced_at, _seq from intra42.achievements_users
  union all
  select 'coalitions_users', id, _synced_at, _seq from intra42.coalitions_users
)
select
  s.resource,
  s.id,
  case when v.seq > s._seq then v.checked_at else s._synced_at end as checked_at,
  greatest(s._seq, v.seq) as seq
from shown as s
left join intra42.verifications as v on v.resource = s.resource and v.id = s.id
where greatest(s._seq, v.seq) > 0;
comment on view intra42.checks is 'When a row was last seen to be as the mirror has it, changed or not.';

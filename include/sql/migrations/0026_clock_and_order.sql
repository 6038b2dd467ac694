-- Clocks and sequences may lie, and may go back: after a restore of a part, in a replica, by one odd
-- `Date`. What was stored under them must not be believed for ever.

alter table intra42.sync_state add column before timestamptz;
comment on column intra42.sync_state.before is
  'The watermark before this one: where reading goes on if this one turns out to be later than the API''s clock.';

alter table intra42.jobs add column moves boolean not null default true;
comment on column intra42.jobs.moves is
  'Whether the watermarks move at its end: not where a run about some campuses or cursus left rows out that no other window would read.';

alter table intra42.dag_runs
  add column heard_at timestamptz,
  add column agreed boolean not null default false,
  add column last_seq bigint not null default 0;
comment on column intra42.dag_runs.clock is
  'The API''s clock as a task of this run heard it last, by the Date of its answers.';
comment on column intra42.dag_runs.heard_at is 'When that was, by the database''s clock.';
comment on column intra42.dag_runs.agreed is 'Whether two answers in a row have shown that clock.';
comment on column intra42.dag_runs.last_seq is 'A request of this run had this number; later ones may be some more.';
update intra42.dag_runs set heard_at = opened_at where clock is not null;

-- A view, so that whoever may read active_students needs no right to this table.
create view intra42.last_heard as
select r.clock, r.heard_at, r.agreed
from (
  select d.clock, d.heard_at, d.agreed from intra42.dag_runs as d order by d.opened_at desc limit 100
) as r
where r.heard_at is not null
order by r.heard_at desc
limit 1;
comment on view intra42.last_heard is
  'The API''s clock as it was heard last in any run, and when; no row before the first answer.';

create or replace view intra42.active_students as
select
  u.id,
  u.email,
  u.login,
  u.first_name,
  u.last_name,
  u.usual_full_name,
  u.usual_first_name,
  u.url,
  u.phone,
  u.displayname,
  u.kind,
  u.image_link,
  u.image_large,
  u.image_medium,
  u.image_small,
  u.image_micro,
  u.staff,
  u.correction_point,
  u.pool_month,
  u.pool_year,
  u.location,
  u.wallet,
  u.anonymize_date,
  u.data_erasure_date,
  u.created_at,
  u.updated_at,
  u.alumnized_at,
  u.alumni,
  u.active,
  u.campus_id,
  u._synced_at,
  u._run_id,
  ongoing.level,
  ongoing.grade
from intra42.users as u
left join lateral (
  select cu.level, cu.grade
  from intra42.cursus_users as cu
  where cu.user_id = u.id
    and cu.cursus_id = 21
    and (
      cu.end_at is null
      -- The API's clock, as far as we have heard it, not the database's.
      or cu.end_at >= coalesce((select r.clock from intra42.last_heard as r), now())
    )
  order by cu.begin_at desc nulls last, cu.id desc
  limit 1
) as ongoing on true
where u.kind = 'student' and u.alumni is not true;

-- What a sequence has to be beyond: the largest number that any table has of it. Request numbers are
-- in the columns whose names end with seq. To look at all of them takes a moment: unless `p_whole`,
-- those are left out that no index leads to.
create function intra42.numbers_of_sequences(p_whole boolean)
returns table (sequence regclass, owner regclass, attribute name)
language sql stable as $$
  select s.oid::regclass, t.oid::regclass, a.attname
  from pg_class as s
  join pg_depend as d
    on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.refclassid = 'pg_class'::regclass
    and d.deptype in ('a', 'i') and d.refobjsubid > 0
  join pg_class as t on t.oid = d.refobjid
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = d.refobjsubid
  where s.relkind = 'S' and s.relnamespace = 'intra42'::regnamespace
    and (
      p_whole
      or exists (
        select 1
        from pg_index as i
        where i.indrelid = t.oid and i.indkey[0] = a.attnum and i.indpred is null
      )
    )
  union all
  select 'intra42.request_seq'::regclass, t.oid::regclass, a.attname
  from pg_class as t
  join pg_attribute as a on a.attrelid = t.oid
  where t.relkind in ('r', 'p') and t.relnamespace = 'intra42'::regnamespace
    and a.attname ~ '(^|_)seq$' and not a.attisdropped
    and (p_whole or t.oid = 'intra42.dag_runs'::regclass)
$$;
comment on function intra42.numbers_of_sequences is
  'The columns that hold numbers of each sequence of the schema.';

-- Moves each sequence forward that is behind the numbers in the tables, as after a restore of a part or
-- in a replica: what it gives out next would count as older than what is there.
create function intra42.advance_sequences(p_whole boolean)
returns table (sequence text, was bigint, moved_to bigint)
language plpgsql as $$
declare
  item record;
  found bigint;
  highest bigint;
  given bigint;
begin
  for item in
    select n.sequence as name, array_agg(n.owner) as owners, array_agg(n.attribute) as attributes
    from intra42.numbers_of_sequences(p_whole) as n
    group by n.sequence
    order by n.sequence::text
  loop
    highest := 0;
    for place in 1..cardinality(item.owners) loop
      execute format('select max(%I) from %s', item.attributes[place], item.owners[place]) into found;
      highest := greatest(highest, found);
    end loop;
    execute format('select last_value - case when is_called then 0 else 1 end from %s', item.name)
    into given;
    if given < highest then
      perform setval(item.name, highest);
      sequence := item.name::text;
      was := given;
      moved_to := highest;
      return next;
    end if;
  end loop;
end
$$;
comment on function intra42.advance_sequences is
  'Moves each sequence forward that is behind the numbers in the tables; returns those it moved.';

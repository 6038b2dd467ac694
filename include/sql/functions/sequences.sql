-- What a sequence has to be beyond: the largest number that any table has of it. Request numbers are
-- in the columns whose names end with seq. To look at all of them takes a moment: unless `p_whole`,
-- those are left out that no index leads to.
create or replace function intra42.numbers_of_sequences(p_whole boolean)
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
create or replace function intra42.advance_sequences(p_whole boolean)
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

-- Rows that the API has shown lately, other than those in question: the latest of a few hundred, which
-- lie at both ends of the table and all over it. A small table is looked at whole.
with ends as (
  select min(e.id) as first, max(e.id) as last from {target} as e
),
sample as (
  (select e.id, e.{owner} as owner, e._seq from {target} as e order by e.id limit 100)
  union
  (select e.id, e.{owner}, e._seq from {target} as e order by e.id desc limit 100)
  union
  select near.*
  from ends
  cross join generate_series(1, 20) as place
  cross join lateral (
    select e.id, e.{owner}, e._seq
    from {target} as e
    where e.id >= ends.first + (ends.last - ends.first) / 21 * place
    order by e.id
    limit 10
  ) as near
)
select s.owner
from sample as s
left join intra42.verifications as v on v.resource = %(resource)s and v.id = s.id
where s.owner <> all(%(ids)s::bigint[]) {shown}
group by s.owner
order by max(greatest(s._seq, v.seq)) desc
limit %(witnesses)s

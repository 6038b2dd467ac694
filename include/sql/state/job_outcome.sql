-- The watermark of each scope: the clock of the first answer of the job, where its leg was not empty.
-- None where the job was about a part of what the watermark speaks of.
select leg.scopes, (select min(all_legs.clock) from intra42.legs as all_legs where all_legs.job_id = j.id)
from intra42.jobs as j
join intra42.legs as leg on leg.job_id = j.id and leg.answered and cardinality(leg.scopes) > 0
where j.id = %(job_id)s and j.moves
union all
select j.scopes, j.clock
from intra42.jobs as j
where j.id = %(job_id)s and j.moves and j.answered and cardinality(j.scopes) > 0

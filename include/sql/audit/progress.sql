select count(*), count(a.user_id), min(a.audited_at)
from intra42.users as u
left join intra42.audits as a on a.resource = %(resource)s and a.user_id = u.id

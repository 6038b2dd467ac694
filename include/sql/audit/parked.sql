-- Records of these users that the API has and the mirror had to put aside.
select p.id
from intra42.parked_records as p
where p.resource = %(resource)s
  and coalesce(p.payload ->> 'user.id', p.payload ->> 'user_id') = any(%(users)s::text[])
  and p.id > %(after)s and p.id <= %(highest)s

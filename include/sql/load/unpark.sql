-- Records that turned out to be out of scope: nothing of them is kept.
delete from intra42.parked_records
where resource = %(resource)s
  and fingerprint = any(%(ids)s::text[])
  and coalesce(seq, 0) <= %(seq)s

excluded._seq > greatest(
  mine._seq,
  (select v.seq from intra42.verifications as v where v.resource = %(resource)s and v.id = mine.id)
)

%(seq)s > greatest(
  mine._seq,
  coalesce((select c.seq from intra42.checks as c where c.resource = %(resource)s and c.id = mine.id), 0)
)

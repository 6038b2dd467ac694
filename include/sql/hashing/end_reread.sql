update intra42.hashed_columns set reread = false where resource = %(resource)s and reread

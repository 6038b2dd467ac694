update intra42.hashed_columns
set rewritten_to = %(up_to)s
where resource = %(resource)s and column_name = any(%(columns)s::text[])

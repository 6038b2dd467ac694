"""A true, cheap, always fresh PostgreSQL mirror of the 42 School Intra API."""

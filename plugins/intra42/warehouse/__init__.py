"""The database of the mirror: its connections, statements, schema and hashed columns."""

"""What `make docs` writes from the code and the schema."""

"""What to ask the API for, and how far we are."""

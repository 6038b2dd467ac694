"""From the records of a page to committed rows."""

"""Known defects, put back one at a time into a copy of the code: the tests must notice each."""

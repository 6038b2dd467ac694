"""What the tasks of a run do, and what they begin with."""

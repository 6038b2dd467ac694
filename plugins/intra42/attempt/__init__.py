"""One attempt of a task: what it works with, what it counts, what it tells."""

"""What the benchmark runs in processes of its own; each prints one JSON object."""

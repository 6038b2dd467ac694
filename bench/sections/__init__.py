"""The sections of the benchmark: each measures one thing and runs alone, too."""

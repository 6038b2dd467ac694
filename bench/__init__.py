"""The benchmarks of the mirror: `make bench`."""

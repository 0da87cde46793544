"""Studies and benchmarks; each prints a table and writes it to `experiments/results`."""

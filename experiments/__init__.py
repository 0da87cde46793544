"""Studies and benchmarks. Each prints a table and writes it to `experiments/results`."""

"""Studies and benchmarks. A study prints a table and writes the table to `experiments/results`."""

"""Parallel-jaw grippers and the descriptions that the package carries."""

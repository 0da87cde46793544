"""Parallel-jaw grippers and the descriptions that ship with the package."""

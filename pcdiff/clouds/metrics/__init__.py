"""Distances between point clouds, and between sets of them."""

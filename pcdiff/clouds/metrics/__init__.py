"""Distances between two point clouds and between two sets of point clouds."""

"""Grasp poses: frames, distances between grasps, and subsets of grasps."""

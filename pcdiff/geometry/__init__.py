"""Meshes and point clouds: the files that hold them, and nearest and farthest points."""

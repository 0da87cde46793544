"""Meshes and point clouds: reading their files, casting rays, and finding neighbours."""

"""Meshes and point clouds: file readers, ray casting and nearest neighbours."""

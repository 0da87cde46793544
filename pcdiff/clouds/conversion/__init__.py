"""Conversion of folders of clouds or meshes, ShapeNet and ModelNet to a canonical HDF5 file."""

"""Pictures of clouds and meshes by ray casting, and training curves."""

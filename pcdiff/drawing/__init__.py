"""Pictures of clouds and meshes by ray casting, and diagrams of training curves."""

"""Head 1: point clouds, the files that hold them, and the model that generates them."""

"""The training loop of both heads, its checkpoints, and training by several processes."""

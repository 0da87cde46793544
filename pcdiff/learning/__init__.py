"""Training for both heads: the loop, its state and checkpoints, and several processes."""

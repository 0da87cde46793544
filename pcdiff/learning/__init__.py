"""The training of all models: the training loop, its state, checkpoints and parallel processes."""

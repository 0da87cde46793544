"""What stands around an object, and whether the hand collides with it."""

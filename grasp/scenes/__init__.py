"""What is around an object to grasp, and whether a gripper collides with it."""

"""The surroundings of an object to grasp, and tests whether a gripper collides with them."""

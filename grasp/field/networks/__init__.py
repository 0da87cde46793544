"""Networks of the grasp head: an energy of a pose, given an object's surface and a gripper."""

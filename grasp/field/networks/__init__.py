"""Networks of the grasp field: they map a pose, an object's surface and a gripper to a number."""

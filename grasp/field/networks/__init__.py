"""The networks of the grasp field, which map a pose, a surface and a gripper to a number."""

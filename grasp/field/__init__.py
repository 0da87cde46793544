"""The grasp field: its networks, its training, and how grasps are sampled from it."""

"""The grasp field: its networks, its training, and the sampling of grasps from the field."""

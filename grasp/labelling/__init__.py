"""Labels of grasps: candidates of meshes, tried in physics, in files that training reads."""

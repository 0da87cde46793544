"""Objects to grasp: meshes, scans and depth images, checked and in metres."""

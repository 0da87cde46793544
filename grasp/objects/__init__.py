"""Objects to grasp: meshes, scans and depth images, checked and converted to metres."""

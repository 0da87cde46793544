"""Robot arms: kinematics, shape, and inverse kinematics."""

from grasp.robots.arm import Arm
from grasp.robots.inverse import Solutions, inverse_kinematics
from grasp.robots.kinematics import Kinematics
from grasp.robots.loading import load_robot, robot_from_urdf, shipped_robots

__all__ = [
    "Arm",
    "Kinematics",
    "Solutions",
    "inverse_kinematics",
    "load_robot",
    "robot_from_urdf",
    "shipped_robots",
]

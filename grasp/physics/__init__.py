"""Does a grasp hold? A hand and an object in MuJoCo, calibrated on ACRONYM's labels."""

from grasp.physics.conditions import conditions
from grasp.physics.decomposition import convex_parts
from grasp.physics.protocol import PROTOCOL, Motion, Protocol
from grasp.physics.simulator import Trials, cores, in_collision, processes, simulate

__all__ = [
    "PROTOCOL",
    "Motion",
    "Protocol",
    "Trials",
    "conditions",
    "convex_parts",
    "cores",
    "in_collision",
    "processes",
    "simulate",
]

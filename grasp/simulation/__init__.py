"""Does a grasp hold? A hand and an object in MuJoCo, calibrated on ACRONYM's labels."""

from grasp.simulation.conditions import conditions
from grasp.simulation.decomposition import convex_parts
from grasp.simulation.protocol import PROTOCOL, Motion, Protocol
from grasp.simulation.simulator import Trials, cores, in_collision, processes, simulate

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

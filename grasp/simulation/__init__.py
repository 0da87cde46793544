"""Does a grasp hold? A hand and an object in MuJoCo, calibrated on ACRONYM's labels."""

from grasp.simulation.decomposition import convex_parts
from grasp.simulation.protocol import PROTOCOL, Motion, Protocol
from grasp.simulation.simulator import Trials, in_collision, simulate

__all__ = [
    "PROTOCOL",
    "Motion",
    "Protocol",
    "Trials",
    "convex_parts",
    "in_collision",
    "simulate",
]

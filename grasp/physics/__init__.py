"""Tests of whether a grasp holds: trials in MuJoCo, calibrated on ACRONYM's labels.

Importing this package does not import MuJoCo; only the functions that run trials do.
"""

from grasp.physics.conditions import Conditions
from grasp.physics.decomposition import convex_parts
from grasp.physics.label_digests import label_digests
from grasp.physics.protocol import PROTOCOL, Motion, Protocol
from grasp.physics.simulator import Trials, in_collision, simulate
from grasp.physics.workers import cores, processes

__all__ = [
    "PROTOCOL",
    "Conditions",
    "Motion",
    "Protocol",
    "Trials",
    "convex_parts",
    "cores",
    "in_collision",
    "label_digests",
    "processes",
    "simulate",
]

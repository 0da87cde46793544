"""Trials of grasps in MuJoCo, calibrated with the labels of the ACRONYM data set.

An import of this package does not import MuJoCo. Only the functions that run trials import MuJoCo.
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

"""Trials of grasps in MuJoCo, calibrated with the labels of the ACRONYM data set.

An import of this package does not import MuJoCo. Only the functions that run trials import MuJoCo.
"""

from grasp.physics.conditions import Conditions
from grasp.physics.decomposition import ConvexShape, convex_parts, convex_shape
from grasp.physics.label_digests import label_digests
from grasp.physics.protocol import PROTOCOL, PROTOCOLS, Motion, Protocol, protocol_named
from grasp.physics.robust import ROBUST, RobustTrials, simulate_drawn, simulate_robust
from grasp.physics.simulator import Trials, in_collision, simulate
from grasp.physics.uncertainty import Uncertainty, load_uncertainty
from grasp.physics.workers import cores, processes

__all__ = [
    "PROTOCOL",
    "PROTOCOLS",
    "ROBUST",
    "Conditions",
    "ConvexShape",
    "Motion",
    "Protocol",
    "RobustTrials",
    "Trials",
    "Uncertainty",
    "convex_parts",
    "convex_shape",
    "cores",
    "in_collision",
    "label_digests",
    "load_uncertainty",
    "processes",
    "protocol_named",
    "simulate",
    "simulate_drawn",
    "simulate_robust",
]

"""Small exact objects and the gripper that most physics tests use."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import trimesh

from grasp.objects.object import Object
from grasp.physics import PROTOCOLS, Motion, Protocol

BOTH = pytest.mark.parametrize(
    "protocol", PROTOCOLS.values(), ids=[f"protocol {version}" for version in PROTOCOLS]
)
"""Runs a test under every protocol."""


def convex(mesh: trimesh.Trimesh, name: str = "object") -> Object:
    """A convex object, which is its own only convex part."""
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces, dtype=np.int64)
    return Object.from_mesh(vertices, faces, name=name, parts=((vertices, faces),))


def box(*sides: float) -> Object:
    return convex(trimesh.creation.box(sides), "box")


def hanging(protocol: Protocol, seconds: float = 1.0) -> Protocol:
    """A protocol in which the object hangs in the closed hand, which does not move."""
    motion = Motion("along", "closing", 0.0, seconds, (0.0, 1.0, 0.0))
    return dataclasses.replace(protocol, motions=(motion,))


def hold(point: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """T_object_grasp of a panda that approaches along the object's +z, with its pads at a point."""
    pose = np.eye(4)
    pose[:3, 3] = np.array(point) - [0.0, 0.0, 0.1034]
    return pose


def sink(mass: float, protocol: Protocol) -> float:
    """Depth to which the pads of 70 N sink into a box, from MuJoCo's contacts at rest.

    Each of the 4 contacts of a pad bears F/4 = k·r/R with k = 1/(d·τ)² and R = (1 - d)/d · 1/m.
    """
    d, τ = protocol.impedance, protocol.time_constant
    return protocol.finger_force(70.0) / 4 * (1 - d) * d * τ**2 / mass

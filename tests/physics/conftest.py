"""Small exact objects and the gripper that most physics tests use."""

from __future__ import annotations

import numpy as np
import trimesh

from grasp.objects.object import Object


def convex(mesh: trimesh.Trimesh, name: str = "object") -> Object:
    """A convex object, which is its own only convex part."""
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces, dtype=np.int64)
    return Object.from_mesh(vertices, faces, name=name, parts=((vertices, faces),))


def box(*sides: float) -> Object:
    return convex(trimesh.creation.box(sides), "box")


def hold(point: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """T_object_grasp of a panda that approaches along the object's +z, with its pads at a point."""
    pose = np.eye(4)
    pose[:3, 3] = np.array(point) - [0.0, 0.0, 0.1034]
    return pose

"""Two objects that several tests measure and write to files."""

from __future__ import annotations

import numpy as np
import trimesh

from grasp.objects.object import Object


def box(sides=(0.125, 0.25, 0.5), corner=(0.0, 0.0, 0.0)) -> Object:
    mesh = trimesh.creation.box(sides)
    vertices = np.asarray(mesh.vertices) + np.array(sides) / 2 + corner
    return Object.from_mesh(vertices, np.asarray(mesh.faces), name="box")


def bowl() -> Object:
    """A thin-walled bowl; its coordinates are multiples of 1/256, so float32 holds them exactly."""
    profile = np.array([[0, 0], [14, 0], [20, 16], [19, 16], [13, 2], [0, 2]]) / 256
    mesh = trimesh.creation.revolve(profile, sections=24)
    vertices = np.round(np.asarray(mesh.vertices) * 256) / 256
    return Object.from_mesh(vertices, np.asarray(mesh.faces), name="bowl")

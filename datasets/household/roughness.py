"""Make the convex parts as uneven as real surfaces, so that physics does not rely on flat faces.

A pad that lies flat on the face of a polyhedron touches the whole face, even with a small force. On
a real surface, the pad touches only a few peaks. An object that is squeezed between peaks can turn
and slip, so the same grasp succeeds less often. An unevenness of 0.1 mm changes a simulated grasp
noticeably, but a camera cannot see it. So only the convex parts for physics become uneven, and the
mesh does not change.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from datasets.household.objects import HouseholdObject
from datasets.household.shapes import Polyhedron
from pcdiff.errors import InputError

_WAVES = 32
_SHORTEST, _LONGEST = 0.005, 0.05
"""Shortest and longest wavelength in metres. With longer waves, the surface under a pad would be
almost flat."""

_EDGE = 0.006
"""Longest edge in metres of a convex part after its faces are subdivided."""


def roughened(obj: HouseholdObject, roughness: float) -> HouseholdObject:
    """Copy an object and make its convex parts uneven.

    The same random waves displace the surface of every part along the surface normals, and the
    convex hull of the displaced surface replaces the part. The seed and the index of the object
    determine the waves and their amplitude.

    Args:
        obj: Object to copy. If its parts are unknown, only the parameters of the copy differ.
        roughness: Largest root mean square displacement in metres, 0 to 0.001.

    Raises:
        InputError: If the roughness is out of its range.
    """
    import trimesh

    if not 0 <= roughness <= 1e-3:
        raise InputError(f"the roughness must be between 0 and 0.001 m, got {roughness}")
    rng = np.random.default_rng([obj.seed, obj.index, *b"roughness"])
    deviation = rng.uniform(0, roughness)
    directions = rng.normal(size=(_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = _SHORTEST * (_LONGEST / _SHORTEST) ** rng.random((_WAVES, 1))
    phases = rng.uniform(0, 2 * math.pi, _WAVES)

    def height(places: Float[np.ndarray, "places 3"]) -> Float[np.ndarray, " places"]:
        waves = np.cos(places @ (2 * math.pi / lengths * directions).T + phases)
        total: Float[np.ndarray, " places"] = deviation * math.sqrt(2 / _WAVES) * waves.sum(axis=1)
        return total

    parts = []
    for vertices, faces in obj.parts:
        fine = trimesh.Trimesh(
            *trimesh.remesh.subdivide_to_size(vertices, faces, _EDGE, max_iter=20)
        )
        places = np.array(fine.vertices)
        hull = trimesh.convex.convex_hull(places + height(places)[:, None] * fine.vertex_normals)
        parts.append(Polyhedron(np.array(hull.vertices), np.array(hull.faces)))
    return replace(
        obj, parts=tuple(parts), parameters={**obj.parameters, "roughness": float(deviation)}
    )

"""Make the convex parts as uneven as real surfaces, so that physics does not rely on flat faces.

A pad that lies flat on the face of a polyhedron touches all of that face, however lightly. On a
scanned or a worn surface the pad touches only some peaks, and an object squeezed between peaks can
turn and slip, so the same grasps hold less often. An unevenness of a tenth of a millimetre changes
a simulated grasp noticeably, but a camera cannot see it. So only the parts that physics uses are
made uneven, not the mesh.
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
"""Wavelengths in metres. Shorter waves would fall between vertices; longer ones leave pads flat."""

_EDGE = 0.006
"""Longest edge in metres of a part after it is subdivided."""


def roughened(obj: HouseholdObject, roughness: float) -> HouseholdObject:
    """Copy an object and replace each part by the convex hull of its randomly displaced surface.

    Random waves in space, the same for all parts, displace the surface along its normals. The
    amplitude is random; the seed and the index of the object determine it.

    Args:
        obj: Object to copy. If its parts are unknown, the copy is unchanged.
        roughness: Largest root mean square of the displacements in metres, 0 to 0.001.

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

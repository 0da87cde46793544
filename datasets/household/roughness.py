"""Parts as uneven as real surfaces are, so that physics does not count on perfect faces.

A pad that lies flat on the face of a polyhedron touches all of it, however lightly. On a scanned or
a worn surface it touches some peaks, and what is squeezed between peaks can turn and slip. The same
grasps hold less often there: of a tenth of a millimetre of unevenness a simulated grasp notices
much, a camera nothing. So only the parts are made uneven, not the mesh.
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
"""Of the waves, metres: shorter ones are between two corners, on longer ones a pad lies flat."""

_EDGE = 0.006
"""The longest edge of a part that is made uneven, metres."""


def roughened(obj: HouseholdObject, roughness: float) -> HouseholdObject:
    """The same object with uneven parts: the convex hulls of its parts' displaced surfaces.

    Random waves in space move the surface along its normals, those of all parts alike. How far, is
    drawn for each object, by its seed and index.

    Args:
        obj: what was made; without parts it stays as it is.
        roughness: the root mean square of the displacements is up to this, metres.

    Raises:
        InputError: it is not a number of at least 0 and at most a millimetre.
    """
    import trimesh

    if not 0 <= roughness <= 1e-3:
        raise InputError(f"the roughness must be 0 to 0.001 m, got {roughness}")
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

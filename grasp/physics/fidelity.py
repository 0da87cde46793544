"""How closely convex parts follow the surface of a mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from grasp.objects.object import Object, Part
from grasp.objects.signed_distances import distance_to_triangles, is_inside
from grasp.objects.triangles import area_vectors, faces_at, on_triangles

TOLERANCE = 0.001
"""Distance in metres up to which a deviation does not count. It is the overlap of hand and object
that a trial does not count as a collision."""

SURFACE_POINTS = 4000
"""Number of points drawn on the mesh, and on the parts. The standard error of a share of 2 % is
0.2 %."""

VOLUME_POINTS = 20_000
"""Number of points drawn in the bounding box of the parts."""

MOST = {"missed": 0.02, "inflated": 0.03, "filled": 0.01}
"""Largest errors without a warning: shares of the mesh's surface and of the surface of the parts,
and a share of the volume of the mesh's convex hull."""

_SEED = 0  # seed of the points, so that the same parts always have the same error
_STEP = 1e-5  # in metres; a face of a part is on the boundary if the space this far ahead is free


@dataclass(frozen=True)
class ShapeError:
    """Deviations of more than `TOLERANCE` between a mesh and the union of its convex parts.

    Attributes:
        missed: Share of the mesh's surface that is outside all parts, further than the tolerance
            from them. A finger passes through this surface.
        inflated: Share of the surface of the union of the parts that is outside the mesh, further
            than the tolerance from it. A finger stops here, in empty space.
        filled: Volume in m³ of the space that is in a part, but is outside the mesh, further than
            the tolerance from it.
        hull: Volume in m³ of the mesh's convex hull.
    """

    missed: float
    inflated: float
    filled: float
    hull: float


def shape_error(obj: Object, parts: Sequence[Part]) -> ShapeError:
    """Measure how closely convex parts follow a mesh.

    The shares and the volume are estimates from points that are drawn uniformly, always with the
    same seed. `grasp.objects.signed_distances` defines the inside of a mesh, which may have holes.

    Args:
        obj: Mesh to compare with.
        parts: Convex parts as (vertices, faces), in the frame of the mesh, in metres.
    """
    rng = np.random.default_rng(_SEED)
    assert obj.faces is not None
    union = _Union(parts)
    on_mesh, _ = obj.surface_faces(SURFACE_POINTS, rng)
    free = on_mesh[~union.contains(on_mesh)]
    away = distance_to_triangles(union.vertices, union.faces, free) > TOLERANCE
    on_parts = union.boundary(SURFACE_POINTS, rng)
    low, high = union.vertices.min(axis=0), union.vertices.max(axis=0)
    places = rng.uniform(low, high, (VOLUME_POINTS, 3))
    filled = _is_far_outside(obj, places[union.contains(places)])
    return ShapeError(
        missed=float(np.count_nonzero(away)) / SURFACE_POINTS,
        inflated=float(np.mean(_is_far_outside(obj, on_parts))),
        filled=float(np.prod(high - low) * np.count_nonzero(filled)) / VOLUME_POINTS,
        hull=float(obj.mesh().convex_hull.volume),
    )


def shape_warning(name: str, error: ShapeError) -> str | None:
    """Return a sentence about errors above `MOST`, or None if there are none.

    Args:
        name: Name of the object.
        error: Error of its convex parts.
    """
    distance = f"{1e3 * TOLERANCE:g} mm"
    found = []
    if error.missed > MOST["missed"]:
        found.append(f"miss {error.missed:.0%} of its surface by more than {distance}")
    if error.inflated > MOST["inflated"]:
        found.append(f"have {error.inflated:.0%} of their surface more than {distance} outside it")
    if error.filled > MOST["filled"] * error.hull:
        found.append(f"fill {1e6 * error.filled:.3g} cm³ of free space")
    if not found:
        return None
    return f"the convex parts of {name} {' and '.join(found)}: outcomes there may be wrong"


def _is_far_outside(
    obj: Object, points: Float[np.ndarray, "points 3"]
) -> Bool[np.ndarray, " points"]:
    """Test which points are outside a mesh and further than the tolerance from its surface."""
    assert obj.faces is not None
    far = np.zeros(len(points), dtype=bool)
    outside = np.flatnonzero(~is_inside(obj, points))
    far[outside] = distance_to_triangles(obj.vertices, obj.faces, points[outside]) > TOLERANCE
    return far


class _Union:
    """The union of the convex hulls of the parts, which is what MuJoCo touches.

    Attributes:
        vertices: Vertices of all parts.
        faces: Triangles of all parts as indices of `vertices`, in any winding.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        from scipy.spatial import ConvexHull

        hulls = [ConvexHull(vertices) for vertices, _ in parts]
        starts = np.cumsum([0, *(len(hull.points) for hull in hulls)])[:-1]
        self.vertices = np.concatenate([hull.points for hull in hulls])
        self.faces = np.concatenate(
            [hull.simplices + start for hull, start in zip(hulls, starts, strict=True)]
        ).astype(np.int64)
        # Each row of a plane is (n, d) with the outward unit normal n and n·x + d <= 0 inside.
        self._planes = [hull.equations for hull in hulls]
        self._bounds = [(hull.min_bound, hull.max_bound) for hull in hulls]

    def contains(self, points: Float[np.ndarray, "points 3"]) -> Bool[np.ndarray, " points"]:
        """Test whether each point is in a part."""
        found = np.zeros(len(points), dtype=bool)
        for planes, (low, high) in zip(self._planes, self._bounds, strict=True):
            near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
            found[near] |= (points[near] @ planes[:, :3].T <= -planes[:, 3]).all(axis=1)
        return found

    def boundary(self, count: int, rng: np.random.Generator) -> Float[np.ndarray, "points 3"]:
        """Draw points on all parts, uniform by area, and keep those on the union's surface."""
        triangles = self.vertices[self.faces]
        cumulative = np.cumsum(np.linalg.norm(area_vectors(triangles), axis=1))
        face = faces_at(cumulative, rng.uniform(0, cumulative[-1], count))
        root, share = np.sqrt(rng.uniform(size=count)), rng.uniform(size=count)
        points = on_triangles(triangles[face], root, share)
        return points[~self.contains(points + _STEP * np.concatenate(self._planes)[face, :3])]

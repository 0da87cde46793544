"""Convex objects that are wider than a hand in every direction, so that no grasp exists."""

from __future__ import annotations

import functools
import math

import numpy as np
from jaxtyping import Float

from datasets.household.shapes import Polyhedron, convex_hull
from pcdiff.errors import InputError

DIRECTIONS = 20_000
"""Number of directions in which `narrowest` measures an object, on half a sphere."""

SIDES = 64
"""Number of sides of a round shape."""

DENTED = 0.002
"""Largest depth in metres of a vertex below the convex hull of a convex object. A handle or a stalk
that fingers could hold is deeper."""


def shape(kind: str, sizes: list[float]) -> Polyhedron:
    """Return a convex shape whose bounding box is centred at the origin.

    Args:
        kind: `block` (three side lengths), `can` (diameter, height), `cone` (diameters at the
            bottom and the top, height), `ellipsoid` (three diameters), `capsule` (diameter, whole
            length), `prism` (number of sides, diameter of the corners' circle, height).
        sizes: Sizes in metres.

    Raises:
        InputError: If the kind is unknown, or the number of sizes is wrong.
    """
    if kind not in _SHAPES or len(sizes) != _SHAPES[kind]:
        raise InputError(
            f"a shape must be one of {', '.join(f'{k} ({n} sizes)' for k, n in _SHAPES.items())}, "
            f"got {kind} with {len(sizes)} sizes"
        )
    if kind == "block":
        points = _box(sizes)
    elif kind == "can":
        points = _rings([(sizes[0] / 2, 0.0), (sizes[0] / 2, sizes[1])])
    elif kind == "cone":
        points = _rings([(sizes[0] / 2, 0.0), (sizes[1] / 2, sizes[2])])
    elif kind == "ellipsoid":
        points = _ball() * np.array(sizes) / 2
    elif kind == "capsule":
        ball = _ball() * sizes[0] / 2
        lift = [0.0, 0.0, sizes[1] - sizes[0]]
        points = np.concatenate([ball, ball + lift])
    else:
        points = _rings([(sizes[1] / 2, 0.0), (sizes[1] / 2, sizes[2])], round(sizes[0]))
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    hull = convex_hull(points)
    if hull is None:
        raise InputError(f"the {kind} of sizes {sizes} has no volume")
    return hull


def narrowest(vertices: Float[np.ndarray, "vertices 3"]) -> float:
    """Return a lower bound of the width of an object in any direction, in metres.

    Every direction is within some angle a of a measured direction, and the width between two
    parallel planes changes by at most a·d between them, where d is the object's diameter.

    Args:
        vertices: Vertices of the object in metres.
    """
    from scipy.spatial import ConvexHull

    corners = vertices[ConvexHull(vertices).vertices]
    directions, spacing = _directions()
    least = math.inf
    for some in np.array_split(directions, 20):
        along = corners @ some.T
        least = min(least, float(np.ptp(along, axis=0).min()))
    return least - spacing * float(np.linalg.norm(np.ptp(corners, axis=0)))


@functools.cache
def _directions() -> tuple[np.ndarray, float]:
    """Return directions on half a sphere, and an angle within which every direction has one."""
    from scipy.spatial import cKDTree

    index = np.arange(2 * DIRECTIONS) + 0.5  # a spiral over the sphere, whose turns are even
    z, angle = 1 - index / DIRECTIONS, math.pi * (1 + math.sqrt(5)) * index
    radius = np.sqrt(1 - z**2)
    sphere = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
    # On an even spiral no direction is farther from the measured ones than from its neighbours.
    spacing = float(cKDTree(sphere).query(sphere, k=7)[0].max())
    return sphere[:DIRECTIONS], spacing


def check_convex(name: str, mesh: Polyhedron) -> None:
    """Raise an error if a mesh has a part that sticks out, such as a handle.

    Args:
        name: Name of the mesh in the error message.
        mesh: Mesh in metres.

    Raises:
        InputError: If a vertex is more than `DENTED` below the convex hull.
    """
    from scipy.spatial import ConvexHull

    planes = ConvexHull(mesh.vertices).equations
    deepest = 0.0
    for some in np.array_split(mesh.vertices, max(1, len(mesh.vertices) // 500)):
        deepest = max(deepest, float(-(some @ planes[:, :3].T + planes[:, 3]).max(axis=1).min()))
    if deepest > DENTED:
        raise InputError(
            f"{name} must be convex, but a vertex is {deepest:.3g} m below its convex hull, "
            f"expected at most {DENTED:g} m"
        )


_SHAPES = {"block": 3, "can": 2, "cone": 3, "ellipsoid": 3, "capsule": 2, "prism": 3}


def _box(sizes: list[float]) -> np.ndarray:
    return np.array(np.meshgrid(*[(0.0, size) for size in sizes])).reshape(3, -1).T


def _rings(profile: list[tuple[float, float]], sides: int = SIDES) -> np.ndarray:
    angle = 2 * math.pi * np.arange(sides) / sides
    rings = [
        np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(sides, z)], axis=1)
        for radius, z in profile
    ]
    return np.concatenate(rings)


def _ball() -> np.ndarray:
    import trimesh

    return np.array(trimesh.creation.icosphere(subdivisions=3).vertices)

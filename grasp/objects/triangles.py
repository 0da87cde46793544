"""Areas, centres and points of triangles and triangulated surfaces."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def area_vectors(triangles: Float[np.ndarray, "faces 3 3"]) -> Float[np.ndarray, "faces 3"]:
    """Compute the product of unit normal and area for each triangle.

    The corners of a triangle run counter-clockwise seen from the side to which its normal points.
    """
    a, b, c = triangles.swapaxes(0, 1)
    return np.cross(b - a, c - a) / 2


def is_closed(faces: Int[np.ndarray, "faces 3"]) -> bool:
    """Test whether a surface is watertight and consistently wound.

    The faces of such a surface traverse each edge exactly once in each direction.
    """
    forth, back = _edges(faces)
    return bool(np.array_equal(forth, back) and (forth[1:] != forth[:-1]).all())


def has_no_rim(faces: Int[np.ndarray, "faces 3"]) -> bool:
    """Test whether a surface has no rim, although several of its sheets may share an edge.

    The faces of such a surface traverse each edge equally often in both directions. That is enough
    for integrals over the enclosed solid. Decimated scans often have a few shared edges.
    """
    forth, back = _edges(faces)
    return bool(np.array_equal(forth, back))


def _edges(
    faces: Int[np.ndarray, "faces 3"],
) -> tuple[Int[np.ndarray, " edges"], Int[np.ndarray, " edges"]]:
    """Return a sorted number for each edge of each face, and for the edge in reverse."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    size = faces.max() + 1
    return np.sort(edges @ [size, 1]), np.sort(edges @ [1, size])


def surface_centre(
    vertices: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "3"]:
    """Compute the centre of mass of a watertight mesh of uniform density.

    For any other mesh, the result is the area-weighted mean of the triangles.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    # Coordinates are relative to the box centre, so that a distant origin costs no precision.
    origin = np.stack([low, high]).mean(axis=0)
    triangles = vertices[faces] - origin
    sums = triangles.sum(axis=1)
    if is_closed(faces):
        volumes = np.linalg.det(triangles)
        if volumes.sum() > 1e-9 * np.prod(high - low):
            centre: np.ndarray = origin + volumes @ sums / (4 * volumes.sum())
            # The centre of mass of a surface that crosses itself can be anywhere.
            if np.all((centre >= low) & (centre <= high)):
                return centre
    areas = np.linalg.norm(area_vectors(triangles), axis=1)
    mean: np.ndarray = origin + areas @ sums / (3 * areas.sum())
    return mean


def faces_at(
    cumulative: Float[np.ndarray, " faces"], areas: Float[np.ndarray, " count"]
) -> Int[np.ndarray, " count"]:
    """Find, for each of `areas`, the first face with a larger cumulative sum of face areas."""
    face = np.searchsorted(cumulative, areas, side="right")
    return np.minimum(face, len(cumulative) - 1)


def on_triangles(
    triangles: Float[np.ndarray, "count 3 3"],
    root: Float[np.ndarray, " count"],
    share: Float[np.ndarray, " count"],
) -> Float[np.ndarray, "count 3"]:
    """Compute one point on each triangle from two numbers in [0, 1].

    The points are distributed uniformly by area if `root`² and `share` are
    independent and uniform in [0, 1].
    """
    weights = np.stack([1 - root, root * (1 - share), root * share], axis=1)
    return np.einsum("nk,nki->ni", weights, triangles)

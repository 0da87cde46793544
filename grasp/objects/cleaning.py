"""Cleaning of raw geometry.

Equal vertices and points are merged, faces are turned so that their fronts face outward, and
missing surface normals are estimated.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from grasp.objects.normals import (
    CONFIDENCE,
    NEIGHBOURS,
    directions,
    estimate_normals,
    propagate_signs,
)
from grasp.objects.rays import Target
from grasp.objects.triangles import area_vectors, faces_at, is_closed, on_triangles
from pcdiff.errors import InputError
from pcdiff.geometry.geometry import check_corners

MAXIMUM_COORDINATE = 1e9
"""Largest accepted magnitude of a coordinate in metres."""


LOOKS = 4096
"""Number of points, spread evenly over an open mesh, from which rays search for the outside."""


LOOK_DIRECTIONS = 64
"""Number of rays from each of the `LOOKS` points, one ray per direction."""


# Smallest accepted ratio of a triangle's area to the square of its longest side. The computed area
# of a thinner triangle is only rounding error.
_THINNEST = 1e-12


def clean_mesh(
    vertices: np.ndarray, faces: np.ndarray, scale: float, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge equal vertices, remove faces without area, and turn the fronts of faces outward.

    Args:
        vertices: Vertices in the unit that `scale` converts to metres.
        faces: Triangles as indices of vertices.
        scale: Length of one unit in metres.
        what: Name of the mesh in error messages.

    Returns:
        The vertices in metres, the faces, and a boolean for each face: True if the outside of the
        face is known. All arrays are read-only.

    Raises:
        InputError: If a number is not finite or too large, a face refers to a missing vertex, the
            mesh has no area, or an array has the wrong shape or type.
    """
    if not len(faces):
        raise InputError(f"{what} is a mesh without faces, expected at least one face")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
        raise InputError(
            f"the triangles of {what} must be whole numbers of shape (n, 3), "
            f"got {faces.dtype} of shape {faces.shape}"
        )
    check_corners(what, vertices, faces)
    vertices = _checked_positions(vertices, scale, what, "vertex")
    first, inverse = first_of_equals(vertices)
    faces = first[inverse][faces.astype(np.int64)]
    triangles = vertices[faces]
    squares = np.square(triangles - np.roll(triangles, 1, axis=1)).sum(axis=2).max(axis=1)
    areas = np.linalg.norm(area_vectors(triangles), axis=1)
    faces = faces[areas > _THINNEST * squares]
    if not len(faces):
        raise InputError(f"{what} is a mesh without area, expected a triangle with an area above 0")
    used, faces = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], faces.reshape(-1, 3)
    faces, sided = _outside_out(vertices, faces)
    return frozen(vertices), frozen(faces), frozen(sided)


def clean_points(
    points: np.ndarray,
    normals: np.ndarray | None,
    viewpoint: np.ndarray | None,
    scale: float,
    what: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Merge equal points, and check or estimate their surface normals.

    Args:
        points: Points in the unit that `scale` converts to metres.
        normals: One unit normal per point; None to estimate the normals.
        viewpoint: Position of the camera that saw all points, in the unit and frame of the points;
            None if unknown. Estimated normals point towards the camera.
        scale: Length of one unit in metres.
        what: Name of the cloud in error messages.

    Returns:
        The points in metres and their unit normals, both read-only.

    Raises:
        InputError: If a number is not finite or too large, a normal does not have length 1, there
            are fewer than `NEIGHBOURS` different points, all points are on one line, or an array
            has the wrong shape or type.
    """
    points = _checked_positions(points, scale, what, "point")
    if normals is None:
        points = points[np.sort(first_of_equals(points)[0])]
    else:
        if normals.shape != points.shape:
            raise InputError(
                f"{what} must have one normal per point, got normals of shape {normals.shape} "
                f"for points of shape {points.shape}"
            )
        lengths = np.linalg.norm(normals, axis=1)
        wrong = ~(np.abs(lengths - 1) < 0.01)  # also true for NaN
        if wrong.any():
            raise InputError(
                f"{what} must have normals of length 1, got another length for "
                f"{np.count_nonzero(wrong)} of {len(normals)} normals: remove all normals from the "
                "input to have them estimated"
            )
        normals = normals.astype(np.float64) / lengths[:, None]
        kept = np.sort(first_of_equals(np.hstack([points, normals]))[0])
        points, normals = points[kept], normals[kept]
    if len(points) < NEIGHBOURS:
        raise InputError(
            f"{what} has {len(points)} different points, expected at least {NEIGHBOURS}"
        )
    spread = np.linalg.eigvalsh(np.cov((points - points.mean(axis=0)).T))
    if not spread[1] > 1e-12 * spread[2]:
        raise InputError(f"{what} has all its points on one line, expected points on a surface")
    if normals is None:
        normals = estimate_normals(points, None if viewpoint is None else viewpoint * scale)
    return frozen(points), frozen(normals)


def frozen(array: np.ndarray) -> np.ndarray:
    """Return the array in C order and make it read-only."""
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def _checked_positions(
    positions: np.ndarray, scale: float, what: str, thing: str
) -> Float[np.ndarray, "positions 3"]:
    """Check positions and convert them to metres.

    In error messages, `what` names the geometry and `thing` names one position.
    """
    if positions.ndim != 2 or positions.shape[1] != 3 or positions.dtype.kind not in "fiu":
        raise InputError(
            f"the {thing} positions of {what} must be numbers of shape (n, 3), "
            f"got {positions.dtype} of shape {positions.shape}"
        )
    if not np.isfinite(positions).all():
        raise InputError(f"{what} has a {thing} that is not finite")
    farthest = float(np.abs(positions).max(initial=0)) * scale
    if farthest > MAXIMUM_COORDINATE:
        raise InputError(
            f"{what} has a {thing} with a coordinate of {farthest:.3g} m, "
            f"expected at most {MAXIMUM_COORDINATE:g} m"
        )
    return positions.astype(np.float64) * scale + 0.0  # turns −0 into 0


def first_of_equals(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the distinct rows of an array, and find every row of the array in this list.

    Args:
        rows: Array with two axes.

    Returns:
        For each distinct row, the index of its first occurrence in the array; and for each row of
        the array, the index of the equal row in the list of distinct rows.
    """
    order = np.lexsort(rows.T)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[order][1:] != rows[order][:-1]).any(axis=1)
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return order[new], inverse  # lexsort is stable, so the first of equal rows comes first


def _outside_out(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn faces so that their corners run counter-clockwise seen from outside.

    Returns:
        The turned faces, and for each face whether its outside is known.
    """
    volumes = np.linalg.det(vertices[faces] - vertices.mean(axis=0))
    if is_closed(faces):
        # An inner shell bounds a cavity and must stay wound opposite to the outer shell, so all
        # faces are turned together.
        return faces[:, ::-1] if volumes.sum() < 0 else faces, np.ones(len(faces), bool)
    heads, tails = faces, np.roll(faces, -1, axis=1)
    sides = (np.minimum(heads, tails) * len(vertices) + np.maximum(heads, tails)).reshape(-1)
    order = np.argsort(sides, kind="stable")
    _, first, number = np.unique(sides[order], return_index=True, return_counts=True)
    pairs = first[number == 2]
    # Two faces agree if they traverse their common edge in opposite directions.
    face, forward = order // 3, (heads < tails).reshape(-1)[order]
    agreement = np.where(forward[pairs] != forward[pairs + 1], 1, -1)
    signs, pieces = propagate_signs(
        len(faces), face[pairs], face[pairs + 1], agreement, np.zeros(len(agreement))
    )
    if (number == 2).all():
        balance, sure = np.bincount(pieces, signs * volumes), np.ones(pieces.max() + 1, bool)
        turned = np.where(balance < 0, -1, 1)
    else:
        balance, cast = _views_of_the_sides(vertices, faces, signs, pieces)
        sure = np.abs(balance) > CONFIDENCE * cast
        as_given = np.where(np.bincount(pieces, signs) < 0, -1, 1)
        turned = np.where(sure, np.sign(balance).astype(np.int64), as_given)
    signs = signs * turned[pieces]
    return np.where(signs[:, None] < 0, faces[:, ::-1], faces), sure[pieces]


def _views_of_the_sides(
    vertices: np.ndarray, faces: np.ndarray, signs: np.ndarray, pieces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measure whether the front or the back of each connected piece has the freer view.

    The directions and points are fixed, so equal meshes give equal results.

    Args:
        vertices: Vertices of the mesh.
        faces: Triangles as indices of vertices.
        signs: −1 for each face to turn over, 1 for every other face.
        pieces: Number of the connected piece that each face belongs to.

    Returns:
        Two sums for each piece. Both sums run over points on the piece and over directions in which
        a ray from the point misses the mesh. The first sum adds the cosine between normal and
        direction, the second sum adds the magnitude of the cosine.
    """
    triangles = vertices[faces]
    vectors = area_vectors(triangles)
    areas = np.linalg.norm(vectors, axis=1)
    cumulative = np.cumsum(areas)
    index = np.arange(LOOKS) + 0.5
    face = faces_at(cumulative, index / LOOKS * cumulative[-1])
    # Multiples of irrational numbers are spread evenly (Kronecker's sequence).
    root, share = np.sqrt(index * math.sqrt(2) % 1), index * math.sqrt(3) % 1
    places = on_triangles(triangles[face], root, share)
    normals = vectors[face] / areas[face, None] * signs[face, None]
    off = 1e-5 * float(np.linalg.norm(np.ptp(vertices, axis=0)))
    target = Target(vertices, faces)
    votes, cast = np.zeros(LOOKS), np.zeros(LOOKS)
    for direction in directions(LOOK_DIRECTIONS):
        cosine = normals @ direction
        starts = places + off * np.sign(cosine)[:, None] * normals
        free = ~target.is_hit(starts, np.tile(direction, (LOOKS, 1)))
        votes += free * cosine
        cast += free * np.abs(cosine)
    count = pieces.max() + 1
    return (
        np.bincount(pieces[face], votes, minlength=count),
        np.bincount(pieces[face], cast, minlength=count),
    )

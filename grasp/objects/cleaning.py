"""From the triangles of a file to a clean mesh: equal vertices joined, faces turned outside out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from grasp.objects.normals import (
    CONFIDENCE,
    directions,
    propagate_signs,
)
from grasp.objects.rays import Target
from pcdiff.errors import InputError
from pcdiff.geometry.geometry import check_corners

if TYPE_CHECKING:
    pass


MAXIMUM_COORDINATE = 1e9
"""Metres from the origin, beyond which areas and volumes are not computed."""


LOOKS = 4096
"""Places on an open mesh from which its outside is looked for, evenly by area."""


LOOK_DIRECTIONS = 64
"""In which they are."""


# A triangle this thin, as area over its longest side squared, has no area but that of rounding.
_THINNEST = 1e-12


def checked_positions(
    positions: np.ndarray, scale: float, what: str, thing: str
) -> Float[np.ndarray, "positions 3"]:
    """Positions in metres."""
    if positions.ndim != 2 or positions.shape[1] != 3 or positions.dtype.kind not in "fiu":
        raise InputError(
            f"{what} must have its {thing} positions as numbers of shape (n, 3), "
            f"got {positions.dtype} of shape {positions.shape}"
        )
    if not np.isfinite(positions).all():
        raise InputError(f"{what} has a {thing} that is not finite")
    farthest = float(np.abs(positions).max(initial=0)) * scale
    if farthest > MAXIMUM_COORDINATE:
        raise InputError(
            f"{what} has a {thing} that is {farthest:.3g} m from the origin, "
            f"expected at most {MAXIMUM_COORDINATE:g} m"
        )
    return positions.astype(np.float64) * scale + 0.0  # −0 becomes 0


def clean_mesh(
    vertices: np.ndarray, faces: np.ndarray, scale: float, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each position once, the faces with area turned outside out, and which of them are sided."""
    if not len(faces):
        raise InputError(f"{what} is a mesh without faces")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu":
        raise InputError(
            f"{what} must have triangles as whole numbers of shape (n, 3), "
            f"got {faces.dtype} of shape {faces.shape}"
        )
    check_corners(what, vertices, faces)
    vertices = checked_positions(vertices, scale, what, "vertex")
    first, inverse = first_of_equals(vertices)
    faces = first[inverse][faces.astype(np.int64)]
    triangles = vertices[faces]
    squares = np.square(triangles - np.roll(triangles, 1, axis=1)).sum(axis=2).max(axis=1)
    areas = np.linalg.norm(area_vectors(triangles), axis=1)
    faces = faces[areas > _THINNEST * squares]
    if not len(faces):
        raise InputError(f"{what} is a mesh without area")
    used, faces = np.unique(faces, return_inverse=True)
    vertices, faces = vertices[used], faces.reshape(-1, 3)
    faces, sided = _outside_out(vertices, faces)
    return frozen(vertices), frozen(faces), frozen(sided)


def _outside_out(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The faces counter-clockwise seen from outside, and of which that is known."""
    volumes = np.linalg.det(vertices[faces] - vertices.mean(axis=0))
    if is_closed(faces):
        # One shell inside another is a cavity and stays inside out, so all are judged as one.
        return faces[:, ::-1] if volumes.sum() < 0 else faces, np.ones(len(faces), bool)
    heads, tails = faces, np.roll(faces, -1, axis=1)
    sides = (np.minimum(heads, tails) * len(vertices) + np.maximum(heads, tails)).reshape(-1)
    order = np.argsort(sides, kind="stable")
    _, first, number = np.unique(sides[order], return_index=True, return_counts=True)
    pairs = first[number == 2]
    # Two faces agree when they run through their common edge in opposite directions.
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
    """How much more the front of each piece sees of the surroundings than its back, and both.

    The sums, over directions in which a place on the piece sees past the mesh, of the cosine to
    the normal and of its size. Nothing is random, so that a mesh is always turned the same way.
    """
    triangles = vertices[faces]
    vectors = area_vectors(triangles)
    areas = np.linalg.norm(vectors, axis=1)
    cumulative = np.cumsum(areas)
    index = np.arange(LOOKS) + 0.5
    face = faces_at(cumulative, index / LOOKS * cumulative[-1])
    # Multiples of irrational numbers spread evenly (Kronecker's sequence).
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


def faces_at(cumulative: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The faces in which the sum of areas passes these."""
    face = np.searchsorted(cumulative, areas, side="right")
    return np.minimum(face, len(cumulative) - 1)


def on_triangles(triangles: np.ndarray, root: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A point on each triangle; uniform where the square of `root` and `share` are in [0, 1]."""
    weights = np.stack([1 - root, root * (1 - share), root * share], axis=1)
    return np.einsum("nk,nki->ni", weights, triangles)


def first_of_equals(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each distinct row its first index, and for each row the number of its distinct row."""
    order = np.lexsort(rows.T)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[order][1:] != rows[order][:-1]).any(axis=1)
    inverse = np.empty(len(rows), np.int64)
    inverse[order] = np.cumsum(new) - 1
    return order[new], inverse  # lexsort is stable: the first of equals comes first


def is_closed(faces: np.ndarray) -> bool:
    """Whether each edge is run through once in each direction: watertight, consistently wound."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    size = faces.max() + 1
    forth, back = edges @ [size, 1], edges @ [1, size]
    forth.sort()
    back.sort()
    return bool(np.array_equal(forth, back) and (forth[1:] != forth[:-1]).all())


def area_vectors(triangles: np.ndarray) -> np.ndarray:
    """Outward normals times area, of (faces, 3, 3) triangles."""
    a, b, c = triangles.swapaxes(0, 1)
    return np.cross(b - a, c - a) / 2


def frozen(array: np.ndarray) -> np.ndarray:
    """The array in C order and read-only."""
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array

"""The parts of a mesh, and which of the parts are the object to grasp.

A mesh file may contain one thing in several parts, such as glasses with separate lenses, several
things, or one thing and the slivers and balls that a reconstruction leaves behind. Parts that share
vertices or are close to each other belong together. Named objects that touch are one thing, too,
unless one supports the other: a plane separates a table from the box on it, and the table is much
wider than the box is long.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.objects.cleaning import MAXIMUM_COORDINATE, first_of_equals
from grasp.objects.pieces import (
    MESH,
    Thing,
    Which,
    choose,
    grouped,
    joined,
    linked,
    remarks_on,
    size_of,
)
from grasp.objects.triangles import area_vectors, faces_at, on_triangles
from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry

HAND_SIZED = 0.3
"""Largest length in metres of a thing whose parts may merely touch each other."""

WIDER = 2.0
"""Smallest ratio of the width of a table to the length of a thing on it."""

OVERLAP = 0.02
"""Two parts touch if a plane separates them after both shrink by this share, but none after both
grow by it."""

NAMED = 0.05
"""A named object counts if its length is at least this share of the length of the largest."""

_SAMPLES = 20_000  # points on the surface that measure the gaps between parts
_MOST_NAMES = 20  # largest number of named objects that are tested for planes between them


def object_faces(
    geometry: Geometry, which: Which, scale: float, what: str
) -> tuple[Bool[np.ndarray, " faces"], list[str]]:
    """Find the faces of the object in a mesh file.

    Args:
        geometry: The mesh. If a corner does not exist, is not finite or is too far away, all faces
            are returned, and `Object.from_mesh` refuses them.
        which: Which object is meant.
        scale: Length of one unit of the file in metres.
        what: Name of the file in error messages.

    Returns:
        True for each face of the object, and remarks for the user: what was left out.

    Raises:
        InputError: If there is no object of a stated name, or the file has several objects and none
            is chosen.
    """
    assert geometry.faces is not None
    kept = _named(geometry, which, what)
    faces = geometry.faces[kept]
    if which.piece == 0 or not len(faces) or faces.min() < 0:
        return kept, []
    if faces.max() >= len(geometry.vertices):
        return kept, []
    with np.errstate(over="ignore", invalid="ignore"):
        triangles = geometry.vertices[faces] * scale
    if not np.abs(triangles).max() <= MAXIMUM_COORDINATE:  # also true for NaN
        return kept, []
    part = _connected(geometry.vertices, faces)
    named = None if geometry.owners is None or which.names else geometry.owners[kept]
    things = _things(triangles, part, named)
    if named is not None and which.piece is None:
        _ask_for_names(things, named, geometry.names, what)
    chosen = choose(things, which.piece, what)
    (index,) = np.nonzero(kept)
    kept = np.zeros(len(kept), bool)
    kept[index[chosen.index]] = True
    return kept, remarks_on(things, chosen, len(faces), "faces")


def _named(geometry: Geometry, which: Which, what: str) -> Bool[np.ndarray, " faces"]:
    """Return True for each face that belongs to one of the named objects."""
    assert geometry.faces is not None
    if not which.names:
        return np.ones(len(geometry.faces), bool)
    missing = [name for name in which.names if name not in geometry.names]
    if missing or geometry.owners is None:
        there = ", ".join(geometry.names[:20])
        raise InputError(
            f"{what} has no object named {missing[0]!r}, its named objects are: {there}"
            if there
            else f"{what} has no named objects, so no object of it can be stated by name",
            parameter="names",
        )
    return np.isin(geometry.owners, [geometry.names.index(name) for name in which.names])


def _connected(vertices: np.ndarray, faces: np.ndarray) -> Int[np.ndarray, " faces"]:
    """Number the parts of a mesh. Faces of one part are joined by corners in equal places."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    corners = first_of_equals(vertices)[1][faces]
    pairs = np.concatenate([corners[:, :2], corners[:, 1:]])
    count = int(corners.max()) + 1
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count,) * 2)
    part = connected_components(graph, directed=False)[1][corners[:, 0]]
    return np.unique(part, return_inverse=True)[1].reshape(-1)


def _things(
    triangles: Float[np.ndarray, "faces 3 3"],
    part: Int[np.ndarray, " faces"],
    named: Int[np.ndarray, " faces"] | None,
) -> list[Thing]:
    """Gather the parts of a mesh into things, the one with the largest area first.

    `index` of a thing contains the indices of its faces.
    """
    areas = np.linalg.norm(area_vectors(triangles), axis=1)
    if part.max() == 0 or not areas.sum() > 0:
        things = [np.arange(len(triangles))]
    else:
        points, face = _samples(triangles, areas)
        largest = triangles[part == np.bincount(part, areas).argmax()].reshape(-1, 3)
        near = MESH.near * float(np.linalg.norm(np.ptp(largest, axis=0)))
        close = linked(points, max(near, 2 * float(np.sqrt(areas.sum() / _SAMPLES))))
        labels = joined(part[face], close)
        weights = areas[face] / np.bincount(face, minlength=len(areas))[face]
        found = grouped(points, labels, weights, MESH, 1)
        things = [np.unique(face[each.index]) for each in found]
    if named is not None:
        things = [some for each in things for some in _separable(triangles, named, each)]
    made = [
        Thing(each, triangles[each].reshape(-1, 3), float(areas[each].sum()), 1) for each in things
    ]
    return sorted(made, key=lambda thing: -thing.weight)


def _samples(
    triangles: Float[np.ndarray, "faces 3 3"], areas: Float[np.ndarray, " faces"]
) -> tuple[Float[np.ndarray, "points 3"], Int[np.ndarray, " points"]]:
    """Return points all over a surface and the face of each; every face has at least one point."""
    faces = np.arange(len(triangles))
    if len(faces) >= _SAMPLES:
        return triangles.mean(axis=1), faces
    rng = np.random.default_rng(0)  # fixed, so that equal meshes have equal parts
    cumulative = np.cumsum(areas)
    face = faces_at(cumulative, rng.uniform(0, cumulative[-1], _SAMPLES))
    root, share = np.sqrt(rng.uniform(size=_SAMPLES)), rng.uniform(size=_SAMPLES)
    inside = on_triangles(triangles[face], root, share)
    corners = triangles.reshape(-1, 3)
    return np.concatenate([corners, inside]), np.concatenate([np.repeat(faces, 3), face])


def _separable(
    triangles: Float[np.ndarray, "faces 3 3"],
    named: Int[np.ndarray, " faces"],
    thing: Int[np.ndarray, " some"],
) -> list[np.ndarray]:
    """Split a large thing into its named objects if one supports the others."""
    names = np.unique(named[thing])
    length = np.ptp(triangles[thing].reshape(-1, 3), axis=0).max()
    if not 2 <= len(names) <= _MOST_NAMES or length <= HAND_SIZED:
        return [thing]
    points = [np.unique(triangles[thing[named[thing] == n]].reshape(-1, 3), axis=0) for n in names]
    group = np.arange(len(names))
    for i in range(len(names)):
        for j in range(i):
            if group[i] != group[j] and _is_one_thing(points[i], points[j]):
                group[group == group[i]] = group[j]
    owner = group[np.searchsorted(names, named[thing])]
    return [thing[owner == each] for each in np.unique(owner)]


def _is_one_thing(a: Float[np.ndarray, "m 3"], b: Float[np.ndarray, "n 3"]) -> bool:
    """Find whether two parts overlap, or touch and neither is wide enough to support the other."""
    if not _is_plane_between(a, b, 1 - OVERLAP):
        return True
    sides = [np.sort(np.ptp(x @ np.linalg.svd(x - x.mean(0), False)[2].T, axis=0)) for x in (a, b)]
    small, large = sorted(sides, key=np.max)
    return bool(large[1] < WIDER * small[2]) and not _is_plane_between(a, b, 1 + OVERLAP)


def _is_plane_between(
    a: Float[np.ndarray, "m 3"], b: Float[np.ndarray, "n 3"], stretch: float
) -> bool:
    """Find whether a plane separates two sets of points after both are stretched by a factor.

    A plane n·x = d with n·x ≥ d + 1 on one side and n·x ≤ d − 1 on the other solves a linear
    program.
    """
    from scipy.optimize import linprog

    middle, size = (a.mean(axis=0) + b.mean(axis=0)) / 2, np.ptp(np.vstack([a, b]), axis=0).max()
    a, b = ((stretch * (x - x.mean(0)) + x.mean(0) - middle) / size for x in (a, b))
    rows = np.vstack([np.hstack([-a, np.ones((len(a), 1))]), np.hstack([b, -np.ones((len(b), 1))])])
    return bool(linprog(np.zeros(4), rows, -np.ones(len(rows)), bounds=(None, None)).status == 0)


def _ask_for_names(
    things: list[Thing], named: Int[np.ndarray, " faces"], names: tuple[str, ...], what: str
) -> None:
    """Raise `InputError` if the named objects in a file are several things.

    A loose piece with the name of a larger thing, such as the slivers and balls of a scan, cannot
    be told from it by name, so it is not another object.
    """
    longest = max(each.length for each in things)
    found, own, seen = [], [], {-1}
    for thing in things:
        mine = set(named[thing.index].tolist())
        if thing.length >= NAMED * longest and (mine == {-1} or not mine <= seen):
            found.append(thing)
            own.append([names[n] for n in sorted(mine - {-1})])
        seen |= mine
    if len(found) < 2 or sum(map(bool, own)) < 2:
        return
    listed = ", ".join(
        f"{' + '.join(mine) or 'without a name'} ({size_of(each.points)})"
        for mine, each in list(zip(own, found, strict=True))[:8]
    )
    raise InputError(
        f"{what} has {len(found)} separate objects, so state the name of one: {listed}",
        parameter="names",
    )

"""Cover a mesh with convex parts that stay close to its surface, so that hollow things stay hollow.

A part may grow as long as it contains no forbidden point. The forbidden points are just outside the
surface, at the distance of the tolerance. A part that would fill a hollow or bridge a gap would
have to contain some of these points. "Navigation-driven approximate convex decomposition" (Andrews,
SIGGRAPH 2024) protects free space in a similar way, with spheres, while it merges the pieces of a
mesh that planes have cut. Here, nothing is cut: parts grow from small patches of the surface. With
the same tolerance of 1 mm, coacd leaves three times as many parts of a mug, because it cuts round
walls by planes.

1. The surface is divided into patches of a few millimetres.
2. A cell is a patch with the solid behind it: down to the opposite side of a thin wall, but at most
   `depth`.
3. A part starts as a cell without a part, next to the previous part. Neighbouring cells join, the
   nearest first, if the convex hull of all cells contains no forbidden point.
4. This repeats until each cell is in a part, or all points of its patch are near some parts.

The cells of step 3 are smaller than the solid by `shrink` on all sides. So a curved wall needs only
half as many parts, because the error of its flat pieces is spread over both sides of the surface. A
part gets its full size back if the full size contains no forbidden point. So a box stays exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from grasp.objects.object import Object, Part
from grasp.objects.rays import Target
from grasp.objects.signed_distances import distance_to_triangles, is_inside
from grasp.objects.triangles import area_vectors


@dataclass(frozen=True)
class CoverSettings:
    """Settings of the cover. Lengths are in metres.

    Args:
        tolerance: Distance of the forbidden points from the surface, so the largest distance of the
            parts outside the mesh.
        shrink: Distance by which the surface of growing parts is below the surface of the mesh. It
            must be less than the tolerance up to which the parts may miss the surface.
            With 0, round outer walls keep their exact facets, but bowls, glasses and teapots need
            up to 1.6 times as many parts.
        beside: Distance from a part up to which a point of the surface counts as covered.
        depth: Depth of the parts below the surface. Inside, a solid may be hollow.
        patch: Diameter of the patches.
        patches: Largest number of patches, roughly. The patches of a large object are larger.
        spacing: Distance between forbidden points.
        turn: Distance that counts as much as a turn of the normal by one radian in the order in
            which cells join. So a part grows along a wall before it grows around the wall.
        parts: Largest number of parts. If there would be more, the tolerance and `shrink` are
            raised together until there are not.
        seed: Seed of the order of the patches and of the forbidden points.
    """

    tolerance: float = 0.001
    shrink: float = 0.0008
    beside: float = 0.0009
    depth: float = 0.008
    patch: float = 0.0045
    patches: int = 3000
    spacing: float = 0.0025
    turn: float = 0.1
    parts: int = 400
    seed: int = 0


_THINNEST = 0.0003  # smallest thickness of a cell in metres; a flat cell would have no convex hull
_ABOVE = 1e-6  # distance in metres of the start of a ray from the face that it leaves
_REACH = 2.2  # cells are neighbours if their centres are nearer than this number of patches
_LEAST_FACTOR = 1.2  # smallest factor by which the tolerance is raised
_HALVINGS = 4  # number of depths of a cell to try
_PLANES = 16  # number of faces of a hull that are compared with the points at a time


@dataclass(frozen=True, eq=False)
class _Cells:
    """Patches of the surface with the solid behind them.

    Attributes:
        small: Points of each cell, below the surface by `shrink`.
        full: Points of each cell at full size.
        surface: Points on the mesh: the corners and the centres of the faces of the patches.
        owner: Index of the cell of each point in `surface`.
        centre: A point on each patch.
        normal: Outward unit normal at `centre`.
        neighbours: Indices of the cells around each cell.
    """

    small: list[np.ndarray]
    full: list[np.ndarray]
    surface: Float[np.ndarray, "points 3"]
    owner: Int[np.ndarray, " points"]
    centre: Float[np.ndarray, "cells 3"]
    normal: Float[np.ndarray, "cells 3"]
    neighbours: list[list[int]]


def convex_cover(obj: Object, settings: CoverSettings) -> list[Part]:
    """Cover the surface of a mesh, and the solid behind it, with convex parts.

    The parts overlap. The time grows with the number of parts and of patches, which are limited.

    Args:
        obj: Mesh to cover. It need not be closed; a surface without thickness gets the thickness
            of the tolerance.
        settings: Settings of the cover.

    Returns:
        Convex parts as (vertices, faces), in the frame of the mesh, in metres.
    """
    while True:
        parts, covered = _cover(obj, settings)
        if covered == 1:
            return parts
        # The number of parts of a round wall is inversely proportional to the tolerance.
        factor = max(_LEAST_FACTOR, 1 / covered)
        settings = replace(
            settings,
            tolerance=factor * settings.tolerance,
            shrink=factor * settings.shrink,
            beside=factor * settings.beside,
        )


def _cover(obj: Object, settings: CoverSettings) -> tuple[list[Part], float]:
    """Cover a mesh, until there are too many parts.

    Returns:
        The parts, and the share of the patches that they cover.
    """
    rng = np.random.default_rng(settings.seed)
    forbidden = _forbidden(obj, settings, rng)
    cells = _cells(obj, settings, forbidden, rng)
    free = np.ones(len(cells.small), dtype=bool)
    bare = np.arange(len(cells.surface))  # indices of the points that are not near a part
    parts: list[Part] = []
    seed = int(np.argmax(np.linalg.norm(cells.centre - cells.centre.mean(axis=0), axis=1)))
    while True:
        members, hull = _grow(cells, seed, free, forbidden, settings.turn)
        free[members] = False
        full = _hull(np.concatenate([cells.full[member] for member in members]))
        hull = hull if _is_forbidden(full, forbidden) else full
        parts.append(_part(hull))
        bare = bare[~_is_near(cells.surface[bare], hull, settings.beside)]
        free &= np.bincount(cells.owner[bare], minlength=len(free)) > 0
        if not free.any() or len(parts) == settings.parts:
            return parts, 1 - float(free.mean())
        seed = _nearest(cells.centre, np.flatnonzero(free), members)


def _grow(
    cells: _Cells, seed: int, free: np.ndarray, forbidden: np.ndarray, turn: float
) -> tuple[list[int], Any]:
    """Return the cells of a part that starts with the cell `seed`, and their convex hull.

    Cells join in batches. A batch that must not join is halved; after a success it doubles.
    """
    apart = np.linalg.norm(cells.centre - cells.centre[seed], axis=1)
    # The two sides of a wall have opposite normals, but are in the same direction of growth.
    parallel = np.abs(cells.normal @ cells.normal[seed]).clip(max=1.0)
    order = apart + turn * np.arccos(parallel)
    members, points, hull = [seed], cells.small[seed], _hull(cells.small[seed])
    queue = sorted(
        (i for i in cells.neighbours[seed] if free[i] and i != seed), key=order.__getitem__
    )
    seen, batch = {seed, *queue}, 1
    while queue:
        joining, rest = queue[:batch], queue[batch:]
        larger = _hull(np.concatenate([points, *(cells.small[i] for i in joining)]))
        if not _is_forbidden(larger, forbidden):
            hull, points = larger, larger.points[larger.vertices]
            members += joining
            found = {j for i in joining for j in cells.neighbours[i] if free[j]} - seen
            seen |= found
            queue = sorted([*rest, *sorted(found)], key=order.__getitem__)
            batch *= 2
        elif len(joining) == 1:
            queue = rest
        else:
            batch = len(joining) // 2
    return members, hull


def _is_near(points: np.ndarray, hull: Any, distance: float) -> np.ndarray:
    """Test which points are in a convex hull or at most a distance outside the planes of it."""
    near = np.zeros(len(points), dtype=bool)
    low, high = hull.min_bound - distance, hull.max_bound + distance
    at = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    planes = hull.equations
    near[at] = (points[at] @ planes[:, :3].T <= distance - planes[:, 3]).all(axis=1)
    return near


def _nearest(centre: np.ndarray, candidates: np.ndarray, others: Sequence[int]) -> int:
    """Return the candidate whose centre is nearest to the centre of one of the others."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(centre[others]).query(centre[candidates])
    return int(candidates[np.argmin(distances)])


def _cells(
    obj: Object, settings: CoverSettings, forbidden: np.ndarray, rng: np.random.Generator
) -> _Cells:
    from scipy.spatial import cKDTree
    from trimesh.remesh import subdivide_to_size

    assert obj.faces is not None
    patch = max(settings.patch, float(np.sqrt(obj.area / settings.patches)))
    cut, cut_faces = subdivide_to_size(obj.vertices, obj.faces, patch, max_iter=30)
    # Rounded to a nanometre, because neighbouring faces compute the same corner separately.
    vertices, same = np.unique(cut.round(9), axis=0, return_inverse=True)
    faces = same.reshape(-1)[cut_faces]
    vectors = area_vectors(vertices[faces])
    areas = np.linalg.norm(vectors, axis=1)
    faces, vectors, areas = (each[areas > 0] for each in (faces, vectors, areas))
    normals, centres = vectors / areas[:, None], vertices[faces].mean(axis=1)
    thickness = _thickness(obj, centres, normals, settings)
    full_inner = centres - normals * thickness[:, None]
    small, small_inner = _shrunk(vertices, faces, normals, full_inner, thickness, settings)
    chosen, groups = _patches(centres, normals, patch, rng)
    small_cells, full_cells, surfaces = [], [], []
    for group in groups:
        corner = np.unique(faces[group])
        small_cells.append(_cell(small[corner], small_inner[group], forbidden))
        full_cells.append(_cell(vertices[corner], full_inner[group], forbidden))
        surfaces.append(np.concatenate([vertices[corner], centres[group]]))
    around = cKDTree(centres[chosen]).query_ball_point(centres[chosen], _REACH * patch)
    return _Cells(
        small_cells,
        full_cells,
        np.concatenate(surfaces),
        np.repeat(np.arange(len(surfaces)), [len(points) for points in surfaces]),
        centres[chosen],
        normals[chosen],
        [sorted(each) for each in around],
    )


def _thickness(
    obj: Object, centres: np.ndarray, normals: np.ndarray, settings: CoverSettings
) -> Float[np.ndarray, " faces"]:
    """Return the depth of the solid behind each face, at most `depth`.

    The depth is the distance to the next surface behind the face. If there is none, the surface has
    no thickness, and the depth is the tolerance.
    """
    assert obj.faces is not None
    hits = Target(obj.vertices, obj.faces).first(centres - _ABOVE * normals, -normals)
    thickness = np.full(len(centres), settings.tolerance)
    thickness[hits.ray] = hits.distance
    return thickness.clip(_THINNEST, settings.depth)


def _shrunk(
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    inner: np.ndarray,
    thickness: np.ndarray,
    settings: CoverSettings,
) -> tuple[Float[np.ndarray, "vertices 3"], Float[np.ndarray, "faces 3"]]:
    """Move vertices, and points behind faces, into the solid by `shrink`.

    The two sides of a wall that is thinner than twice `shrink` exchange places. They must not meet,
    because a flat cell has no convex hull.
    """
    toward = np.zeros_like(vertices)
    nearest = np.full(len(vertices), np.inf)
    for corner in faces.T:
        np.add.at(toward, corner, normals)
        np.minimum.at(nearest, corner, thickness)
    toward /= np.linalg.norm(toward, axis=1, keepdims=True).clip(min=1e-12)
    nearest = np.where(np.isfinite(nearest), nearest, 0.0)

    def by(depth: np.ndarray) -> np.ndarray:
        meet = np.abs(depth - 2 * settings.shrink) < _THINNEST
        return np.where(meet, (depth - _THINNEST).clip(min=0.0) / 2, settings.shrink)[:, None]

    # The solid goes on behind a cell of full depth, so that side of the cell need not move.
    ends = (thickness < settings.depth)[:, None]
    return vertices - toward * by(nearest), inner + np.where(ends, normals * by(thickness), 0.0)


def _patches(
    centres: np.ndarray, normals: np.ndarray, patch: float, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " patches"], list[np.ndarray]]:
    """Divide faces into patches of similar places and normals.

    Returns:
        The face in the middle of each patch, and the faces of each patch.
    """
    from scipy.spatial import cKDTree

    # A turn of the normal by 40° counts as much as the radius of a patch.
    places = np.concatenate([centres, 1.5 * patch * normals], axis=1)
    tree = cKDTree(places)
    left = np.ones(len(centres), dtype=bool)
    chosen, groups = [], []
    for face in rng.permutation(len(centres)):
        if left[face]:
            near = np.array(sorted(tree.query_ball_point(places[face], patch)))
            groups.append(near[left[near]])
            left[near] = False
            chosen.append(face)
    return np.array(chosen), groups


def _forbidden(
    obj: Object, settings: CoverSettings, rng: np.random.Generator
) -> Float[np.ndarray, "points 3"]:
    """Draw points outside a mesh at the distance of the tolerance from its surface."""
    assert obj.faces is not None
    points, face = obj.surface_faces(int(np.ceil(obj.area / settings.spacing**2)), rng)
    points = points + settings.tolerance * obj.face_normals[face]
    # In a groove, such a point can be near another face.
    distance = distance_to_triangles(obj.vertices, obj.faces, points)
    points = points[distance > 0.95 * settings.tolerance]
    return points[~is_inside(obj, points)]


def _is_forbidden(hull: Any, points: Float[np.ndarray, "points 3"]) -> bool:
    """Test whether a convex hull contains one of the points."""
    left = points[((points > hull.min_bound) & (points < hull.max_bound)).all(axis=1)]
    for start in range(0, len(hull.equations), _PLANES):
        planes = hull.equations[start : start + _PLANES]
        left = left[(left @ planes[:, :3].T < -planes[:, 3]).all(axis=1)]
        if not len(left):
            return False
    return True


def _hull(points: Float[np.ndarray, "points 3"]) -> Any:
    """Return the convex hull of points as a `scipy.spatial.ConvexHull`."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return ConvexHull(points)
    except QhullError:
        # A cell of very thin faces: qhull moves its points by a tiny amount, always the same.
        return ConvexHull(points, qhull_options="QJ")


def _cell(outer: np.ndarray, inner: np.ndarray, forbidden: np.ndarray) -> np.ndarray:
    """Return the corners of a cell; its depth is halved while it contains a forbidden point."""
    for _ in range(_HALVINGS):
        hull = _hull(np.concatenate([outer, inner]))
        if not _is_forbidden(hull, forbidden):
            break
        inner = (inner + outer.mean(axis=0)) / 2
    return hull.points[hull.vertices]


def _part(hull: Any) -> Part:
    """Return a convex hull as a part whose faces are counter-clockwise seen from outside."""
    triangles = hull.points[hull.simplices]
    inward = np.einsum("fi,fi->f", area_vectors(triangles), hull.equations[:, :3]) < 0
    faces = np.where(inward[:, None], hull.simplices[:, ::-1], hull.simplices)
    used, renumbered = np.unique(faces, return_inverse=True)
    return hull.points[used], renumbered.reshape(-1, 3).astype(np.int64)

"""Build exactly convex pieces, and solids that consist of convex pieces.

A solid is the union of a list of convex pieces with flat faces; a piece is a `Polyhedron`. So the
physics and the mesh describe the same set of points, and curved surfaces are polyhedra. A solid of
revolution with n sides has a regular n-gon in place of a circle. Its radius is measured to the
middles of the facets (the apothem). So walls have exactly the requested thickness, and opposite
facets have exactly the requested distance. The theorem of Pappus, with 2 n tan(π/n) in place of 2π,
gives the volume: 2 n tan(π/n) r A for a section with area A and a centroid at radius r.

Lengths are in metres. z is the axis of revolution, and the middle of a facet is at azimuth 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pcdiff.errors import InputError

WELD = 1e-9
"""Points on the surface of a union that are closer than this distance, in metres, are merged."""

FLAT = 1e-12
"""Largest distance in metres of the four corners of a flat face from a common plane."""

Points = Sequence[tuple[float, float]] | Float[np.ndarray, "points 2"]
"""Points in a plane, in metres: (x, y), or (radius, z) for a profile."""

Vector = Sequence[float] | Float[np.ndarray, "3"]
"""A point, an offset or a direction in space; lengths are in metres."""

Polyline = Sequence[Vector] | Float[np.ndarray, "joints 3"]
"""The joints of a polyline in space, in metres."""


class Polyhedron(NamedTuple):
    """A triangle mesh: a convex piece of a solid, or the surface of the whole solid.

    Attributes:
        vertices: Vertices in metres, float64.
        faces: Triangles, counter-clockwise seen from outside.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]


# ------------------------------------------------------------------------------------ one piece


def loft(rings: Float[np.ndarray, "rings corners 3"]) -> Polyhedron:
    """Build a convex polyhedron from a stack of polygons with corresponding corners.

    The triangles of a flat face depend only on the corners of the face. So two pieces that share a
    face also share its triangles.

    Args:
        rings: Polygons in metres, at least two. All corners of the first or the last polygon may
            be the same point. The solid must be convex. If four neighbouring corners are not in
            one plane, the outer diagonal becomes an edge.
    """
    a, b = rings[:-1], np.roll(rings, -1, axis=1)[:-1]
    d, c = rings[1:], np.roll(rings, -1, axis=1)[1:]
    outward = np.cross(c - a, d - b)
    if np.sum(outward * ((a + b + c + d) / 4 - rings.mean(axis=(0, 1)))) < 0:
        return loft(rings[:, ::-1])
    # np.unique would treat -0.0 and 0.0 as different numbers. Adding 0.0 turns -0.0 into 0.0.
    vertices, same = np.unique(rings.reshape(-1, 3) + 0.0, axis=0, return_inverse=True)
    index = same.reshape(rings.shape[:2]).astype(np.int64)
    i, j = index[:-1], np.roll(index, -1, axis=1)[:-1]
    m, k = index[1:], np.roll(index, -1, axis=1)[1:]
    area = np.maximum(np.linalg.norm(outward, axis=-1), np.finfo(np.float64).tiny)
    sunken = np.sum(np.cross(b - a, c - a) * (d - a), axis=-1) / area
    # Vertices are sorted lexicographically, so the lowest index depends only on the corners.
    lowest = np.minimum(i, k) < np.minimum(j, m)
    straight = np.where(np.abs(sunken) < FLAT, lowest, sunken < 0)[..., None]
    sides = [
        np.where(straight, np.stack([i, j, k], -1), np.stack([i, j, m], -1)),
        np.where(straight, np.stack([i, k, m], -1), np.stack([j, k, m], -1)),
    ]
    faces = [*(side.reshape(-1, 3) for side in sides), _fan(index[0, ::-1]), _fan(index[-1])]
    triangles = np.concatenate(faces)
    proper = (triangles != np.roll(triangles, 1, axis=1)).all(axis=1)
    return Polyhedron(vertices, triangles[proper])


def convex_hull(points: Float[np.ndarray, "points 3"]) -> Polyhedron | None:
    """The convex hull of points, or None if the points are in one plane."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except QhullError:
        return None
    corners = points[hull.simplices]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inwards = np.sum(normals * hull.equations[:, :3], axis=1) < 0
    faces = np.where(inwards[:, None], hull.simplices[:, ::-1], hull.simplices)
    used, renumbered = np.unique(faces, return_inverse=True)
    return Polyhedron(points[used], renumbered.reshape(-1, 3).astype(np.int64))


def prism(polygon: Points, bottom: float, top: float) -> Polyhedron:
    """An upright prism over a convex polygon in the xy plane, from z = `bottom` to z = `top`."""
    corners = np.asarray(polygon, dtype=np.float64)
    return loft(np.stack([_level(corners, bottom), _level(corners, top)]))


def box(low: Vector, high: Vector) -> Polyhedron:
    """A cuboid with sides along the axes, between two opposite corners.

    The arguments are corners instead of a size and a centre, so that adjacent boxes can have
    exactly equal coordinates.
    """
    (x0, y0, z0), (x1, y1, z1) = low, high
    return prism([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], z0, z1)


def frustum(
    lower: Points, upper: Points, bottom: float, top: float, shift: Sequence[float] = (0.0, 0.0)
) -> Polyhedron:
    """A solid between two horizontal convex polygons; `shift` moves the upper polygon."""
    below, above = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    return loft(np.stack([_level(below, bottom), _level(above + shift, top)]))


# --------------------------------------------------------------------------------------- polygons


def ellipse(width: float, height: float, sides: int) -> Float[np.ndarray, "sides 2"]:
    """An ellipse around the origin as a polygon.

    If the number of sides is divisible by 4, the distances of opposite sides are `width` and
    `height`.
    """
    angle = (np.arange(sides) - 0.5) * 2 * np.pi / sides
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) / np.cos(np.pi / sides)
    return circle * [width / 2, height / 2]


def rounded_rectangle(
    width: float, height: float, radius: float, steps: int = 3
) -> Float[np.ndarray, "corners 2"]:
    """A rectangle around the origin; each rounded corner has `steps` edges."""
    x, y = width / 2 - radius, height / 2 - radius
    angle = np.linspace(0, np.pi / 2, steps + 1)
    quarter = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    turned = [quarter]
    for _ in range(3):
        turned.append(turned[-1] @ [[0.0, 1.0], [-1.0, 0.0]])
    centres = [(x, y), (-x, y), (-x, -y), (x, -y)]
    return np.concatenate([part + centre for part, centre in zip(turned, centres, strict=True)])


def arc(
    radius: float | tuple[float, float], start: float, end: float, steps: int
) -> list[tuple[float, float]]:
    """Points on an arc of a circle or an ellipse around the origin; angles are in radians."""
    x, y = (radius, radius) if isinstance(radius, float) else radius
    angle = np.linspace(start, end, steps + 1)
    # The poles must be exactly on the axis, but cos(π/2) is not 0 in floating point.
    across = np.where(np.isclose(np.abs(angle) % np.pi, np.pi / 2), 0.0, np.cos(angle))
    return list(zip((x * across).tolist(), (y * np.sin(angle)).tolist(), strict=True))


# ------------------------------------------------------------------------------------- revolution


def revolve(section: Points, sides: int) -> list[Polyhedron]:
    """Turn a convex section around the z axis.

    A piece is the solid between the section at one angle and the section at the next angle. It is a
    prism over the section, cut by two planes, so it is exactly convex.

    Args:
        section: Corners (radius, z) in counter-clockwise order. If the section starts and ends on
            the axis, from the bottom to the top, the solid must be convex and becomes one piece.
            Otherwise each side becomes one piece.
        sides: Number of sides of the polygon that replaces a circle.
    """
    corners = np.asarray(section, dtype=np.float64)
    angle = (np.arange(sides + 1) - 0.5) * 2 * np.pi / sides
    spoke = np.stack([np.cos(angle), np.sin(angle)], axis=1) / np.cos(np.pi / sides)
    spoke[-1] = spoke[0]
    radius, z = corners.T
    points = np.empty((len(corners), sides + 1, 3))
    points[..., :2] = radius[:, None, None] * spoke
    points[..., 2] = z[:, None]
    if radius[0] == 0 and radius[-1] == 0:
        return [loft(points[:, :-1])]
    return [loft(points[:, side : side + 2].swapaxes(0, 1)) for side in range(sides)]


def lathe(profile: Points, sides: int) -> list[Polyhedron]:
    """A solid of revolution, cut by horizontal planes into as few convex pieces as possible.

    Args:
        profile: Points (radius, z) from the bottom to the top, without decreasing z. Two points at
            the same height form a step.
        sides: Number of sides of the polygon that replaces a circle.
    """
    points = np.array(profile, dtype=np.float64)
    for upper in range(1, len(points)):
        if points[upper, 1] - points[upper - 1, 1] < FLAT:
            points[upper, 1] = points[upper - 1, 1]
    pieces, first = [], 0
    for last in range(1, len(points)):
        chain = points[first : last + 1]
        if chain[-1, 1] == chain[-2, 1]:
            first = last
            continue
        if last + 1 < len(points):
            before, after = points[last] - points[last - 1], points[last + 1] - points[last]
            convex = before[0] * after[1] - before[1] * after[0] > 0
            if after[1] > 0 and convex:
                continue
        bottom, top = (0.0, chain[0, 1]), (0.0, chain[-1, 1])
        # A chain that starts or ends on the axis has no flat end at that point.
        flat_bottom, flat_top = int(chain[0, 0] > 0), int(chain[-1, 0] > 0)
        section = [bottom] * flat_bottom + chain.tolist() + [top] * flat_top
        pieces += revolve(section, sides)
        first = last
    return pieces


def inner_profile(
    profile: Points, thickness: float | Sequence[float]
) -> Float[np.ndarray, "points 2"]:
    """Return the inner profile of a wall: parallel to the outer profile, with mitred joints.

    Args:
        profile: Points (radius, z) of the outer profile, from the axis outwards and up. The inner
            profile is on the left of the outer profile.
        thickness: Thickness of the wall in metres, or a thickness for each segment of the wall.

    Raises:
        ValueError: If the wall is too thick for the bends of the profile.
    """
    outer = np.asarray(profile, dtype=np.float64)
    along = np.diff(outer, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    left = along[:, ::-1] * [-1.0, 1.0]
    offset = left * np.broadcast_to(thickness, len(left))[:, None]
    inner = np.empty_like(outer)
    inner[0], inner[-1] = outer[0] + offset[0], outer[-1] + offset[-1]
    if outer[0, 0] == 0:
        inner[0] -= along[0] * inner[0, 0] / along[0, 0]
        inner[0, 0] = 0.0
    for joint in range(1, len(left)):
        # Solve x · left = outer · left + thickness for the segments on both sides of the joint.
        normals = left[joint - 1 : joint + 1]
        reach = np.sum(normals * offset[joint - 1 : joint + 1], axis=1)
        inner[joint] = outer[joint] + np.linalg.solve(normals, reach)
    if (np.sum(np.diff(inner, axis=0) * along, axis=1) <= 0).any():
        raise ValueError(
            f"a wall of {thickness} m is too thick for the bends of the profile {outer.tolist()}"
        )
    return inner


def shell(profile: Points, thickness: float | Sequence[float], sides: int) -> list[Polyhedron]:
    """Build a vessel of revolution with a wall of exactly the requested thickness.

    Args:
        profile: Points (radius, z) of the outside, from the middle of the bottom, at radius 0, to
            the rim.
        thickness: Thickness of the wall in metres, or a thickness for each segment of the wall; the
            first segment is the floor.
        sides: Number of sides of the polygon that replaces a circle.

    Raises:
        ValueError: If the wall is too thick for the bends of the profile.
    """
    outer = np.asarray(profile, dtype=np.float64)
    inner = inner_profile(outer, thickness)
    pieces = revolve([outer[0], outer[1], inner[1], inner[0]], sides)
    for i in range(1, len(outer) - 1):
        pieces += revolve([outer[i], outer[i + 1], inner[i + 1], inner[i]], sides)
    return pieces


# ------------------------------------------------------------------------------------------ tubes


def sweep(
    path: Polyline,
    section: Points,
    binormal: Vector,
    scales: Sequence[float] | Float[np.ndarray, " joints"] | None = None,
) -> list[Polyhedron]:
    """Build a bar along a plane polyline; neighbouring pieces share a face at the mitred joint.

    Args:
        path: Joints of the polyline.
        section: Convex polygon in metres; the first coordinate is in the plane, across the path,
            and the second coordinate is along `binormal`.
        binormal: Unit vector perpendicular to the plane.
        scales: Scale of the section at each joint; None uses 1.

    Raises:
        ValueError: If the bar is too thick for the bends of the path.
    """
    joints, polygon = np.asarray(path, dtype=np.float64), np.asarray(section, dtype=np.float64)
    factor = np.ones(len(joints)) if scales is None else np.asarray(scales, dtype=np.float64)
    along = np.diff(joints, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(np.asarray(binormal, dtype=np.float64), along)
    mitre = np.concatenate([across[:1], across[:-1] + across[1:], across[-1:]])
    mitre[1:-1] /= 1 + np.sum(across[:-1] * across[1:], axis=1, keepdims=True)
    rings = (
        joints[:, None]
        + factor[:, None, None] * polygon[None, :, :1] * mitre[:, None]
        + factor[:, None, None] * polygon[None, :, 1:] * np.asarray(binormal, dtype=np.float64)
    )
    if (np.einsum("jki,ji->jk", np.diff(rings, axis=0), along) <= 0).any():
        raise ValueError("a bar is too thick for the bends of its path")
    return [loft(rings[joint : joint + 2]) for joint in range(len(joints) - 1)]


def resampled(
    path: Sequence[Sequence[float]] | Float[np.ndarray, "points d"], count: int
) -> Float[np.ndarray, "count d"]:
    """Place points at equal distances along a polyline, including its first and its last point."""
    points = np.asarray(path, dtype=np.float64)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    where = np.linspace(0, length[-1], count)
    return np.stack([np.interp(where, length, column) for column in points.T], axis=1)


# ----------------------------------------------------------------------------------------- motion

LYING = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Rotation matrix that lays down a solid: the z axis of the solid becomes the x axis."""


def moved(solid: Sequence[Polyhedron], offset: Vector) -> list[Polyhedron]:
    """Shift a solid by an offset in metres."""
    return [Polyhedron(piece.vertices + np.asarray(offset), piece.faces) for piece in solid]


def mapped(
    solid: Sequence[Polyhedron], matrix: Sequence[Sequence[float]] | Float[np.ndarray, "3 3"]
) -> list[Polyhedron]:
    """Apply a linear map to a solid, such as a rotation, a mirroring or a scaling along axes."""
    linear = np.asarray(matrix, dtype=np.float64)
    step = 1 if np.linalg.det(linear) > 0 else -1
    # A matrix product is avoided because it may round equal points of two pieces differently.
    return [
        Polyhedron((piece.vertices[:, None, :] * linear).sum(axis=-1), piece.faces[:, ::step])
        for piece in solid
    ]


def yawed(solid: Sequence[Polyhedron], angle: float) -> list[Polyhedron]:
    """Turn a solid around the z axis by an angle in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return mapped(solid, [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


# ------------------------------------------------------------------------------------------ union


def union(solid: Sequence[Polyhedron]) -> Polyhedron:
    """Return the watertight surface of the union of all pieces.

    First, pieces that share whole faces are joined exactly, by removal of these faces. Then
    manifold3d unites the groups of pieces that still overlap or touch.

    Args:
        solid: Pieces of the solid.

    Raises:
        InputError: If manifold3d is not installed.
        ValueError: If a piece is not a closed polyhedron.
    """
    try:
        from manifold3d import Error, Manifold, Mesh64, OpType
    except ModuleNotFoundError as error:
        raise InputError(
            'joining solids needs manifold3d: install it with pip install ".[makers]"'
        ) from error

    bodies = [
        Manifold(Mesh64(body.vertices, body.faces.astype(np.uint64))) for body in glued(solid)
    ]
    whole = Manifold.batch_boolean(bodies, OpType.Add).simplify(WELD)
    if whole.is_empty() or any(body.status() != Error.NoError for body in [*bodies, whole]):
        raise ValueError("a piece of the solid is not a closed polyhedron")
    mesh = whole.to_mesh64()
    return Polyhedron(
        np.array(mesh.vert_properties[:, :3], dtype=np.float64),
        np.array(mesh.tri_verts, dtype=np.int64),
    )


def glued(solid: Sequence[Polyhedron]) -> list[Polyhedron]:
    """Join each group of pieces that share faces into one closed surface without these faces."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    counts = [len(piece.vertices) for piece in solid]
    starts = np.cumsum([0, *counts[:-1]])
    vertices, same = np.unique(
        np.concatenate([piece.vertices for piece in solid]) + 0.0, axis=0, return_inverse=True
    )
    faces = same.reshape(-1)[
        np.concatenate([piece.faces + start for piece, start in zip(solid, starts, strict=True)])
    ]
    owner = np.repeat(np.arange(len(solid)), [len(piece.faces) for piece in solid])
    # Two triangles with the same corners are the two sides of a shared face.
    _, corners = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True)
    order = np.argsort(corners.reshape(-1), kind="stable")
    first = np.flatnonzero(np.diff(corners.reshape(-1)[order]) == 0)
    shared = np.stack([order[first], order[first + 1]])
    kept = np.ones(len(faces), dtype=bool)
    kept[shared] = False
    links = coo_array((np.ones(shared.shape[1]), owner[shared]), shape=(len(solid), len(solid)))
    groups, group = connected_components(links, directed=False)
    bodies = []
    for index in range(groups):
        chosen = faces[kept & (group[owner] == index)]
        used, renumbered = np.unique(chosen, return_inverse=True)
        bodies.append(Polyhedron(vertices[used], renumbered.reshape(-1, 3).astype(np.int64)))
    return bodies


def volume(mesh: Polyhedron) -> float:
    """The volume in m³ inside a closed surface: the sum of det(a, b, c)/6 over its triangles."""
    corners = mesh.vertices[mesh.faces] - mesh.vertices.mean(axis=0)
    return float(np.linalg.det(corners).sum() / 6)


def _level(polygon: Float[np.ndarray, "corners 2"], z: float) -> Float[np.ndarray, "corners 3"]:
    return np.column_stack([polygon, np.full(len(polygon), z)])


def _fan(polygon: Int[np.ndarray, " corners"]) -> Int[np.ndarray, "triangles 3"]:
    """Cut a polygon into triangles that fan out from its corner with the lowest index."""
    around = np.roll(polygon, -int(np.argmin(polygon)))
    return np.stack([np.full(len(polygon) - 2, around[0]), around[1:-1], around[2:]], axis=1)

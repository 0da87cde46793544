"""Split the polygons of a mesh into triangles, also where a polygon is concave.

A convex polygon becomes a fan of triangles from its first corner. A polygon with one corner that is
not convex becomes a fan from that corner, which sees all other corners. Ears are cut off any other
polygon one by one (Meisters, "Polygons have ears", 1975), so that the triangles of a flat polygon
cover exactly its area.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import check_corners, left_out
from pcdiff.geometry.limits import MAXIMUM_FACES, check_count

Point = tuple[float, float]
"""A corner in the plane of its polygon."""


MAXIMUM_CORNERS = 5_000
"""Largest number of corners of a concave polygon; the time to split it grows with the square."""


# A corner counts as straight if its area is smaller than this, relative to the polygon's extent
# squared. Rounding of float64 is smaller.
_STRAIGHT = 1e-12


# Number of corners that a loop compares with a triangle faster than NumPy does.
_FEW = 50


@dataclass(frozen=True, eq=False)
class Triangles:
    """The triangles that polygons were split into.

    Attributes:
        faces: Triangles as indices of vertices, in the order of the polygons.
        polygon: Index of the polygon that each triangle is a part of.
        remarks: Remarks on polygons that were left out or that are doubtful.
    """

    faces: Int[np.ndarray, "faces 3"]
    polygon: Int[np.ndarray, " faces"]
    remarks: tuple[str, ...]


def triangulate(
    path: Path,
    vertices: Float[np.ndarray, "vertices 3"],
    lengths: Int[np.ndarray, " polygons"],
    items: Int[np.ndarray, " corners"],
) -> Triangles:
    """Split polygons into triangles with the same orientation.

    A concave polygon is projected along its mean normal (Newell's). Polygons with fewer than 3
    corners, or with a corner that is not finite, are left out.

    Args:
        path: File that contains the polygons, for error messages.
        vertices: Vertices of the mesh.
        lengths: Number of corners of each polygon.
        items: Corners of all polygons as indices of vertices, one polygon after the other.

    Raises:
        InputError: If there are too many triangles, a corner does not exist, or a concave polygon
            has more than `MAXIMUM_CORNERS` corners.
    """
    check_count(path, int(np.maximum(lengths - 2, 0).sum()), MAXIMUM_FACES, "faces")
    check_corners(path, vertices, items)
    total, starts = len(lengths), np.cumsum(lengths) - lengths
    short = lengths < 3
    bad = np.zeros(total, bool)
    bad[np.repeat(np.arange(total), lengths)[~np.isfinite(vertices[items]).all(axis=1)]] = True
    bad &= ~short
    remarks = (
        *left_out(short, "faces", "fewer than 3 corners"),
        *left_out(bad, "faces", "a corner is not finite"),
    )
    if total and bad.sum() + short.sum() == total and bad.any():
        raise InputError(
            f"{path} has a corner that is not finite in all {np.count_nonzero(bad)} faces"
        )
    kept = np.flatnonzero(~(short | bad))
    first, hard, crossing = _classify(vertices, lengths[kept], starts[kept], items)
    sizes = lengths[kept]
    ears = {}
    for index in np.flatnonzero(hard):
        check_count(path, int(sizes[index]), MAXIMUM_CORNERS, "corners in a concave face")
        start = starts[kept[index]]
        corners = items[start : start + sizes[index]]
        cut = cut_ears(vertices[corners])
        crossing[index] = cut is None
        if cut is not None:
            ears[index] = corners[cut]
    if crossing.any():
        remarks += (
            f"{np.count_nonzero(crossing)} of {total} faces cross themselves, so that their "
            "triangles are uncertain",
        )
    counts = sizes - 2
    counts[list(ears)] = [len(cut) for cut in ears.values()]
    faces = _fans(sizes, starts[kept], first, items)
    if ears:
        fan = ~np.isin(np.arange(len(kept)), list(ears))
        ends = np.cumsum(counts)
        whole = np.empty((int(counts.sum()), 3), np.int64)
        whole[np.repeat(fan, counts)] = faces[np.repeat(fan, sizes - 2)]
        for index, cut in ears.items():
            whole[ends[index] - len(cut) : ends[index]] = cut
        faces = whole
    return Triangles(faces, np.repeat(kept, counts), remarks)


def _fans(
    sizes: np.ndarray, starts: np.ndarray, first: np.ndarray, items: np.ndarray
) -> np.ndarray:
    """Split each polygon into a fan of triangles from the corner number `first`."""
    counts = sizes - 2
    polygon = np.repeat(np.arange(len(sizes)), counts)
    step = np.arange(len(polygon)) - np.repeat(np.cumsum(counts) - counts, counts)
    corner = np.stack([np.zeros_like(step), step + 1, step + 2], axis=1) + first[polygon, None]
    return items[starts[polygon, None] + corner % sizes[polygon, None]].astype(np.int64)


def _classify(
    vertices: np.ndarray, sizes: np.ndarray, starts: np.ndarray, items: np.ndarray
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Find how each polygon can be split.

    Returns:
        The corner from which a fan covers the polygon; whether there is no such corner, so that
        ears must be cut; and whether all corners are convex although the boundary crosses itself.
    """
    first, hard, crossing = (np.zeros(len(sizes), kind) for kind in (np.int64, bool, bool))
    large = np.flatnonzero(sizes > 3)
    if not len(large):
        return first, hard, crossing
    counts = sizes[large]
    offsets = np.cumsum(counts) - counts
    polygon = np.repeat(np.arange(len(large)), counts)
    step = np.arange(len(polygon)) - offsets[polygon]
    origin = starts[large][polygon]
    points = vertices[items[origin + step]] - vertices[items[origin]]
    ahead = vertices[items[origin + (step + 1) % counts[polygon]]] - vertices[items[origin]]
    normals = np.add.reduceat(np.cross(points, ahead), offsets)
    extent = np.maximum.reduceat(np.square(points).sum(axis=1), offsets)
    length = np.linalg.norm(normals, axis=1)
    flat = length > _STRAIGHT * extent  # the others have no area, whatever they are split into
    normals /= np.where(flat, length, 1)[:, None]
    leaving = ahead - points
    before = offsets[polygon] + (step - 1) % counts[polygon]
    arriving = leaving[before]
    turn = (np.cross(arriving, leaving) * normals[polygon]).sum(axis=1)
    convex = turn > _STRAIGHT * extent[polygon]
    hollow = np.add.reduceat(~convex, offsets, dtype=np.int64) * flat
    angle = np.add.reduceat(np.arctan2(turn, (arriving * leaving).sum(axis=1)), offsets)
    hard[large] = hollow > 1
    crossing[large] = flat & (hollow == 0) & (angle > 3 * np.pi)
    single = np.flatnonzero((hollow == 1)[polygon] & ~convex)
    first[large[polygon[single]]] = step[single]
    return first, hard, crossing


def cut_ears(corners: Float[np.ndarray, "corners 3"]) -> Int[np.ndarray, "triangles 3"] | None:
    """Split one polygon into triangles by cutting ears.

    An ear is a triangle of three neighbouring corners that contains no other corner. Straight
    corners become corners of triangles, too, so that a neighbouring face that has these corners
    still meets this face without a gap. Corners at the same place as the preceding corner, and
    corners where a side turns back on itself, are left out.

    Args:
        corners: Positions of the corners in order. The polygon may be slightly uneven.

    Returns:
        The triangles as indices of corners; None if the boundary crosses itself.
    """
    flat = _flattened(corners)
    tolerance = _STRAIGHT * float(np.square(np.ptp(flat, axis=0)).sum())
    kept = np.array(_without_needles(list(map(tuple, flat.tolist())), tolerance), np.int64)
    left = len(kept)
    if left < 3:
        return np.empty((0, 3), np.int64)
    flat = flat[kept]
    points: list[Point] = list(map(tuple, flat.tolist()))
    before, after = [*range(-1, left - 1)], [*range(1, left), 0]
    before[0] = left - 1

    def turn(corner: int) -> float:
        return _twice_area(points[before[corner]], points[corner], points[after[corner]])

    hollow = {corner for corner in range(left) if turn(corner) <= tolerance}
    triangles: list[tuple[int, int, int]] = []
    corner, tried = 0, 0
    while left > 3:
        if tried > 2 * left:
            return None
        ear = (before[corner], corner, after[corner])
        if corner in hollow:
            # A straight corner is dropped only if no ear is left.
            found = tried > left and turn(corner) >= -tolerance
        else:
            found = not _contains_a_corner(points, flat, hollow, ear, tolerance)
            triangles += [ear] * found
        if not found:
            corner, tried = ear[2], tried + 1
            continue
        hollow.discard(corner)
        after[ear[0]], before[ear[2]] = ear[2], ear[0]
        for changed in (ear[0], ear[2]):
            (hollow.add if turn(changed) <= tolerance else hollow.discard)(changed)
        corner, tried, left = ear[0], 0, left - 1
    if turn(corner) < -tolerance:
        return None
    triangles.append((before[corner], corner, after[corner]))
    return kept[np.array(triangles, np.int64)]


def _without_needles(points: list[Point], tolerance: float) -> list[int]:
    """Leave out corners at the place of the preceding one, and corners where a side turns back."""
    kept = list(range(len(points)))
    index = unchanged = 0
    while len(kept) > 2 and unchanged < len(kept):
        index %= len(kept)
        a, b, c = (points[kept[(index + step) % len(kept)]] for step in (-1, 0, 1))
        ahead = (a[0] - b[0]) * (c[0] - b[0]) + (a[1] - b[1]) * (c[1] - b[1])
        if a == b or (ahead > 0 and abs(_twice_area(a, b, c)) <= tolerance):
            del kept[index]
            index, unchanged = max(index - 1, 0), 0
        else:
            index, unchanged = index + 1, unchanged + 1
    return kept


def _contains_a_corner(
    points: list[Point],
    flat: Float[np.ndarray, "n 2"],
    candidates: set[int],
    ear: tuple[int, int, int],
    tolerance: float,
) -> bool:
    """Check whether a triangle contains one of the candidates, inside or on its boundary.

    `points` and `flat` are the same corners, as a list and as an array.
    """
    a, b, c = (points[corner] for corner in ear)
    chosen: Iterable[int] = candidates
    if len(candidates) > _FEW:
        some = np.fromiter(candidates, np.int64, len(candidates))
        triangle = flat[list(ear)]
        low, high = triangle.min(axis=0), triangle.max(axis=0)
        chosen = some[((flat[some] >= low) & (flat[some] <= high)).all(axis=1)].tolist()
    for corner in chosen:
        p = points[corner]
        if (
            _twice_area(a, b, p) >= -tolerance
            and _twice_area(b, c, p) >= -tolerance
            and _twice_area(c, a, p) >= -tolerance
            # Two corners at one place occur where a slit leads to a hole.
            and p not in (a, b, c)
        ):
            return True
    return False


def _flattened(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """Drop the axis along which the polygon's normal is longest; keep the polygon's orientation."""
    points = points - points[0]
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)
    axis = int(np.abs(normal).argmax())
    others = [(axis + 1) % 3, (axis + 2) % 3]
    return points[:, others if normal[axis] > 0 else others[::-1]]


def _twice_area(a: Point, b: Point, c: Point) -> float:
    """Twice the area of the triangle a, b, c in the plane; negative if clockwise."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

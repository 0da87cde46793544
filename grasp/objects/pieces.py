"""The pieces of a scan or a mesh, and which of the pieces are the object to grasp.

A scan also shows what is not the object: places where the camera measured nothing, points that
float between two surfaces, the table, other objects. A mesh from a scan has loose slivers and
balls. This module splits a geometry at gaps and decides which pieces belong together. All gaps are
compared with the distance between neighbouring points or with the lengths of the pieces, so the
same rules hold for a ring and for a chair. A length is the diagonal of the bounding box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.objects.normals import NEIGHBOURS
from grasp.objects.table import FOOTPRINT, remove_table, table_under
from pcdiff.errors import InputError

LINK = 5.0
"""Points are in one piece if a chain of points joins them, with steps up to this multiple of the
distance to the nearest neighbour. 90 % of the points have a nearest neighbour within this distance;
the median would be too small for a cloud that is dense in one place only."""

COMPARABLE = 0.2
"""A piece is comparable with an object if it has at least this share of the object's points, or of
the area of a mesh."""


@dataclass(frozen=True)
class Gaps:
    """Largest gaps over which a piece still belongs to an object.

    Attributes:
        near: Share of the object's length: any piece that is nearer belongs to the object.
        small: Share of the piece's own length, for a piece that is smaller than comparable.
        comparable: Share of the piece's own length, for a comparable piece.
    """

    near: float
    small: float
    comparable: float


SCAN = Gaps(near=0.1, small=2.0, comparable=0.5)
"""The camera often does not see what joins two pieces of an object, so wide gaps are usual."""

MASKED = Gaps(near=0.1, small=0.1, comparable=0.5)
"""A mask shows which pieces belong together, so a small piece outside its main region does not."""

MESH = Gaps(near=0.02, small=0.5, comparable=0.1)
"""A mesh shows all sides, so its pieces are closer together."""

LARGE, TOO_LARGE, SMALL = 0.5, 5.0, 0.02
"""If the largest object is longer than `LARGE`, in metres, it may be the table under the others, so
every object that is longer than `SMALL` is a choice. What is longer than `TOO_LARGE` is probably in
another unit."""

_LISTED = 6  # largest number of objects in an error message
_MOST_OBJECTS = 50  # largest number of objects that are told apart


@dataclass(frozen=True)
class Which:
    """Which of the objects in a file is meant.

    Attributes:
        piece: Number of the object in a scan or mesh, 1 for the largest, or 0 for everything. None
            takes the largest, and refuses a file with several objects of comparable size.
        mask_id: Value of the object's pixels in a mask with several values.
        names: Names of objects or groups in an OBJ file, or of nodes in a glTF or COLLADA file,
            which together are the object; empty for all.
        without_table: True to remove the largest flat surface from a scan first.
    """

    piece: int | None = None
    mask_id: int | None = None
    names: tuple[str, ...] = ()
    without_table: bool = False


EVERYTHING = Which(piece=0)
"""Nothing is left out and nothing is refused, for example for the meshes of a scene."""


def object_points(
    points: Float[np.ndarray, "points 3"],
    which: Which,
    what: str,
    regions: Int[np.ndarray, " points"] | None = None,
) -> tuple[Bool[np.ndarray, " points"], list[str]]:
    """Find the points of the object in a scan.

    Args:
        points: Finite points in metres.
        which: Which object is meant.
        what: Name of the scan in error messages.
        regions: Number of the connected region of the mask around each point; None without a mask.
            The pieces in one region are one object, except for stray points.

    Returns:
        True for each point of the object, and remarks for the user: what was left out.

    Raises:
        InputError: If the scan shows several objects of comparable size and none is chosen, the
            chosen object does not exist, or there is no table to remove.
    """
    kept = np.ones(len(points), bool)
    if len(points) < NEIGHBOURS:
        return kept, []
    typical = _typical_distance(points)
    remarks = []
    if which.without_table:
        kept = remove_table(points, typical, what)
        remarks.append(
            f"removed {np.count_nonzero(~kept)} points of the table, which grasps avoid only if "
            "the scene contains it"
        )
    if which.piece == 0 or not kept.any():
        return kept, remarks
    (index,) = np.nonzero(kept)
    regions = None if regions is None else regions[index]
    objects = _objects_in(points[index], typical, regions)
    chosen = choose(objects, which.piece, what)
    if which.piece is None and regions is None and not which.without_table:
        _refuse_table(points[index], typical, what)
    kept = np.zeros(len(points), bool)
    kept[index[chosen.index]] = True
    return kept, [*remarks, *remarks_on(objects, chosen, len(index), "points")]


def size_of(points: Float[np.ndarray, "points 3"]) -> str:
    """Return the side lengths of the bounding box of points in metres as a text."""
    return " x ".join(f"{side:.2g}" for side in np.ptp(points, axis=0)) + " m"


@dataclass(frozen=True, eq=False)
class Thing:
    """One object in a geometry.

    Attributes:
        index: Indices of the points of the object; of the faces, if it was found in a mesh.
        points: The points in metres.
        weight: Number of points, or area.
        pieces: Number of pieces of comparable size.
    """

    index: Int[np.ndarray, " some"]
    points: Float[np.ndarray, "points 3"]
    weight: float
    pieces: int

    @property
    def length(self) -> float:
        """The diagonal of the bounding box in metres."""
        return float(np.linalg.norm(np.ptp(self.points, axis=0)))

    def __str__(self) -> str:
        middle = (self.points.min(axis=0) + self.points.max(axis=0)) / 2
        at = ", ".join(f"{number:g}" for number in middle.round(3) + 0.0)
        return f"{size_of(self.points)} at ({at})"


def _objects_in(
    points: Float[np.ndarray, "points 3"],
    typical: float,
    regions: Int[np.ndarray, " points"] | None,
) -> list[Thing]:
    """List the objects in a scan, the one with the most points first."""
    labels = linked(points, LINK * typical)
    if regions is not None:
        # A region joins the pieces in it, but no strays.
        joins = np.bincount(labels)[labels] >= NEIGHBOURS
        labels = joined(labels, regions, joins)
    weights = np.ones(len(points))
    return grouped(points, labels, weights, SCAN if regions is None else MASKED, NEIGHBOURS)


def _typical_distance(points: Float[np.ndarray, "points 3"]) -> float:
    from scipy.spatial import cKDTree

    different = np.unique(points, axis=0)
    if len(different) < 2:
        return 0.0
    nearest = cKDTree(different).query(different, 2)[0][:, 1]
    return float(np.quantile(nearest, 0.9))


def linked(points: Float[np.ndarray, "points 3"], step: float) -> Int[np.ndarray, " points"]:
    """Number the pieces that steps of a given length cannot leave.

    Points are gathered in cells with sides of a third of the step, so the length of a gap has an
    error of up to half a step, and the time grows linearly with the number of points.

    Args:
        points: Points in metres.
        step: Length of a step in metres; 0 makes a single piece.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if not step > 0:
        return np.zeros(len(points), np.int64)
    cells = np.floor((points - points.min(axis=0)) / (step / 3))
    used, cell = np.unique(cells, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    count = np.bincount(cell)
    middles = np.stack([np.bincount(cell, column) for column in points.T], axis=1) / count[:, None]
    pairs = cKDTree(middles).query_pairs(1.3 * step, output_type="ndarray")
    ones = np.ones(len(pairs), bool)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(used), len(used)))
    return connected_components(graph, directed=False)[1][cell]


def joined(
    labels: Int[np.ndarray, " points"],
    others: Int[np.ndarray, " points"],
    joins: Bool[np.ndarray, " points"] | None = None,
) -> Int[np.ndarray, " points"]:
    """Number the pieces after those with points of one label in another numbering are joined.

    Args:
        labels: Number of the piece of each point.
        others: Number of each point in the other numbering.
        joins: True for each point that joins pieces; None for all.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if joins is None:
        joins = np.ones(len(labels), bool)
    first = int(labels.max()) + 1
    nodes = first + int(others.max()) + 1
    edges = labels[joins], first + others[joins]
    graph = coo_matrix((np.ones(len(edges[0]), bool), edges), shape=(nodes, nodes))
    number = connected_components(graph, directed=False)[1][labels]
    return np.unique(number, return_inverse=True)[1].reshape(-1)


def grouped(
    points: Float[np.ndarray, "points 3"],
    labels: Int[np.ndarray, " points"],
    weights: Float[np.ndarray, " points"],
    gaps: Gaps,
    least: int,
) -> list[Thing]:
    """Gather pieces into objects, the heaviest object first.

    An object begins with the heaviest piece that is left and gathers all pieces that belong to it,
    until no more pieces do. A piece with fewer than `least` points begins no object.

    Args:
        points: Points of all pieces in metres.
        labels: Number of the piece of each point.
        weights: Weight of each point: 1 in a scan, an area on a mesh.
        gaps: Largest gaps over which a piece belongs to an object.
        least: Smallest number of points of a piece; a smaller piece is stray.
    """
    from scipy.spatial import cKDTree

    weight = np.bincount(labels, weights)
    length = _lengths(points, labels)
    count = np.bincount(labels)
    left = np.ones(len(weight), bool)
    things: list[Thing] = []
    while len(things) < _MOST_OBJECTS and (left & (count >= least)).any():
        first = int(np.where(left & (count >= least), weight, -1).argmax())
        left[first] = False
        mine, new, pieces = labels == first, labels == first, 1
        gap = np.full(len(weight), np.inf)
        while new.any() and left.any():
            (others,) = np.nonzero(left[labels])
            distance = cKDTree(points[new]).query(points[others])[0]
            np.minimum.at(gap, labels[others], distance)
            comparable = (weight >= COMPARABLE * weight[first]) & (count >= least)
            own = np.where(comparable, gaps.comparable, gaps.small) * length
            whole = float(np.linalg.norm(np.ptp(points[mine], axis=0)))
            joins = left & (gap <= np.maximum(gaps.near * whole, own * (count >= least)))
            left &= ~joins
            new = joins[labels]
            mine |= new
            pieces += int((joins & comparable).sum())
        (index,) = np.nonzero(mine)
        things.append(Thing(index, points[index], float(weights[index].sum()), pieces))
    return sorted(things, key=lambda thing: -thing.weight)


def _lengths(
    points: Float[np.ndarray, "points 3"], labels: Int[np.ndarray, " points"]
) -> Float[np.ndarray, " pieces"]:
    low, high = (np.full((labels.max() + 1, 3), sign * np.inf) for sign in (1, -1))
    np.minimum.at(low, labels, points)
    np.maximum.at(high, labels, points)
    return np.linalg.norm(high - low, axis=1)


def choose(objects: Sequence[Thing], piece: int | None, what: str) -> Thing:
    """Return the object that the caller means.

    Args:
        objects: All objects, the largest first.
        piece: Number of the object; None for the largest, if no other is comparable.
        what: Name of the file in error messages.

    Raises:
        InputError: If there is no such object, or no object is meant and several are comparable.
    """
    if piece is not None and not 1 <= piece <= len(objects):
        raise InputError(
            f"the number of the object in {what} must be from 1 to {len(objects)}, or 0 for "
            f"everything, got {piece}",
            parameter="piece",
        )
    if piece is None:
        large = LARGE < objects[0].length < TOO_LARGE
        rivals = [
            each
            for each in objects
            if each.weight >= COMPARABLE * objects[0].weight or (large and each.length > SMALL)
        ]
        if len(rivals) > 1:
            raise InputError(
                f"{what} shows {len(objects)} separate objects, expected one: state which is "
                f"meant, {listed(objects)}, or 0 for everything",
                parameter="piece",
            )
    return objects[(piece or 1) - 1]


def listed(objects: Sequence[object], chosen: object = None) -> str:
    """Return a text that numbers objects, e.g. "1 (0.1 x 0.2 x 0.1 m at (0, 0, 0.5))".

    Args:
        objects: All objects, the largest first.
        chosen: Object to leave out of the text; the others keep their numbers.
    """
    said = [f"{i} ({each})" for i, each in enumerate(objects, 1) if each is not chosen]
    more = f" and {len(said) - _LISTED} more" if len(said) > _LISTED else ""
    return ", ".join(said[:_LISTED]) + more


def remarks_on(
    objects: Sequence[Thing], chosen: Thing, total: int, unit: str = "points"
) -> list[str]:
    """Return remarks about what was left out of a geometry, and about separate pieces of an object.

    Args:
        objects: All objects in the geometry.
        chosen: The object that was chosen.
        total: Number of points in the geometry, with stray points; for a mesh, of pieces.
        unit: Plural of what `total` counts.
    """
    rest = [each for each in objects if each is not chosen]
    said = []
    if len(chosen.index) < total:
        stray = total - sum(len(each.index) for each in objects)
        parts = [f"{stray} stray {'point' if stray == 1 else 'points'}"] if stray else []
        if rest:
            parts.append(f"{len(rest)} separate {'piece' if len(rest) == 1 else 'pieces'}: ")
            parts[-1] += listed(objects, chosen)
        left = total - len(chosen.index)
        said.append(f"left out {left} of {total} {unit}: {' and '.join(parts)}")
        if any(each.weight >= COMPARABLE * chosen.weight for each in rest):
            said.append("grasps do not avoid the objects that were left out")
    if chosen.pieces > 1:
        said.append(f"took {chosen.pieces} pieces with gaps between them as one object")
    return said


def _refuse_table(points: Float[np.ndarray, "points 3"], typical: float, what: str) -> None:
    """Raise `InputError` if a scan shows a table with objects on it."""
    plane = table_under(points, typical)
    if plane is None:
        return
    above = points[~plane.on]
    sides = plane.sides(points[plane.on])
    objects = _objects_in(above, typical, None) if len(above) >= NEIGHBOURS else []
    standing = [each for each in objects if (plane.sides(each.points) <= FOOTPRINT * sides).all()]
    if sum(each.weight for each in standing) > len(above) / 2:
        raise InputError(
            f"{what} shows a table of {sides[0]:.2g} x {sides[1]:.2g} m with {len(standing)} "
            f"objects on it: {listed(standing)}: remove the table and state which object is "
            "meant, or supply a mask",
            parameter="without_table",
        )

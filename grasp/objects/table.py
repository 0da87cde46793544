"""The table in a scan: the largest flat surface, and the objects that stand on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pcdiff.errors import InputError

LEAST_SHARE = 0.2
"""Smallest share of the points of a scan that a flat surface to remove must hold."""

SMALLEST, LARGEST = 0.3, 5.0
"""Smallest and largest length in metres of the sides of a flat surface that is taken for a table if
nobody says that it is one."""

TABLE_SHARE = 0.3
"""Smallest share of the points of a scan in such a surface."""

FOOTPRINT = 0.6
"""Largest length of what stands on such a surface, as a share of the length of the surface.

The sides of a box and the rim of a tray are as long as their bottom, so neither is a table."""

_TRIALS, _POINTS = 300, 5_000  # random planes, and points that rate them
_DEVIATIONS = 4.0  # largest distance of a point of the plane, in standard deviations


@dataclass(frozen=True, eq=False)
class Plane:
    """A flat surface in a scan.

    Attributes:
        on: True for each point of the scan that lies on the surface.
        axes: Two directions along the surface, as unit vectors.
    """

    on: Bool[np.ndarray, " points"]
    axes: Float[np.ndarray, "2 3"]

    def sides(self, points: Float[np.ndarray, "some 3"]) -> Float[np.ndarray, "2"]:
        """Return the lengths of points along the two directions of the surface, in metres."""
        return np.ptp(points @ self.axes.T, axis=0)


def largest_plane(points: Float[np.ndarray, "points 3"], within: float) -> Plane:
    """Find the plane that holds the most points, with random samples and least squares.

    The method is RANSAC (Fischler and Bolles, "Random sample consensus", 1981). The random numbers
    have a fixed seed, so equal points give an equal plane.

    Args:
        points: At least three points in metres.
        within: Distance in metres within which a point counts for a plane, for example the distance
            between neighbouring points. The noise of the points in the best plane then determines
            which points are on it.
    """
    rng = np.random.default_rng(0)
    some = points[rng.choice(len(points), min(len(points), _POINTS), replace=False)]
    corners = points[rng.integers(len(points), size=(_TRIALS, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.where(lengths > 0, lengths, 1)
    heights = np.einsum("ti,ti->t", normals, corners[:, 0])
    votes = (np.abs(some @ normals.T - heights) <= within).sum(axis=0)
    best = int(np.where(lengths[:, 0] > 0, votes, -1).argmax())
    on = np.abs(points @ normals[best] - heights[best]) <= within
    middle = points[on].mean(axis=0)
    axes = np.linalg.svd(points[on] - middle, full_matrices=False)[2]
    distance = np.abs((points - middle) @ axes[2])
    noise = 1.4826 * float(np.median(distance[on]))  # of Gaussian noise, from the median
    return Plane(distance <= max(_DEVIATIONS * noise, within / 2), axes[:2])


def remove_table(
    points: Float[np.ndarray, "points 3"], within: float, what: str
) -> Bool[np.ndarray, " points"]:
    """Find the points that are not on the largest flat surface of a scan.

    Args:
        points: Points in metres.
        within: See `largest_plane`.
        what: Name of the scan in the error message.

    Raises:
        InputError: If the scan has no flat surface with a sufficient share of the points.
    """
    share = 0.0
    if len(points) >= 3:
        plane = largest_plane(points, within)
        share = float(plane.on.mean())
    if share < LEAST_SHARE:
        raise InputError(
            f"{what} has no table: its largest flat surface must hold at least {LEAST_SHARE:.0%} "
            f"of its points, got {share:.0%}",
            parameter="without_table",
        )
    return ~plane.on


def table_under(points: Float[np.ndarray, "points 3"], within: float) -> Plane | None:
    """Return the plane of a scan if it is as large as a table and things may stand on it.

    Args:
        points: Points in metres.
        within: See `largest_plane`.
    """
    if not SMALLEST <= float(np.ptp(points, axis=0).max()) <= LARGEST:
        return None
    plane = largest_plane(points, within)
    sides = plane.sides(points[plane.on])
    large = plane.on.mean() >= TABLE_SHARE and (sides >= SMALLEST).all()
    return plane if large and not plane.on.all() else None

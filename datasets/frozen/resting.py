"""Poses in which a rigid object rests on a horizontal table.

An object rests on a face of its convex hull if its centre of mass is above the face. trimesh can
list such faces too, but it needs a package that this project does not, and the order of its equal
poses, e.g. on the sides of a bottle, may differ between machines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grasp.objects.object import Object
from grasp.objects.solids import solid
from pcdiff.errors import InputError

FLAT = 1e-5
"""Largest height in metres of a point of the hull that still touches the table."""

MARGIN = 0.001
"""Smallest distance in metres between the edge of the support polygon and the point below the
centre of mass. With less, a push or an error in the mesh would tip the object over."""

STEADY = math.radians(2)
"""Smallest angle in radians by which the object must be tilted to tip over."""

APART = math.radians(20)
"""Smallest angle in radians between the upward directions of two poses."""

_SAME_HEIGHT = 1e-4  # metres; poses of a symmetric object have equal heights up to rounding errors


@dataclass(frozen=True, eq=False)
class Rest:
    """A resting pose.

    Attributes:
        T_table_object: Pose of the object's frame in the table's frame, in metres. The table fills
            z < 0, the lowest point of the object is at z = 0, and the centre of mass is at
            x = y = 0.
        share: Size of the face below the object and of all equal faces, as the share of directions
            in which they are seen from the centre of mass. An object that is dropped in a random
            orientation rests more often in a pose with a larger share.
    """

    T_table_object: Float[np.ndarray, "4 4"]
    share: float


def resting_poses(obj: Object, count: int) -> list[Rest]:
    """Return the resting poses with the largest shares, which differ by at least `APART`.

    Faces at equal distances from the centre of mass count as one face, such as the sides of a
    prism; the first of their directions in the order of coordinates is used.

    Args:
        obj: Mesh in metres; its density is uniform.
        count: Largest number of poses, at least 1.

    Raises:
        InputError: If the object is a point cloud or has no resting pose, such as a ball.
    """
    centre = centre_of_mass(obj)
    found = _stable_faces(obj.vertices, centre)
    if not found:
        raise InputError(
            f"{obj.file or obj.name} rests on no face of its convex hull within {MARGIN:g} m"
        )
    found.sort(key=lambda face: face[0])
    groups: list[list[tuple[float, float, np.ndarray]]] = []
    for face in found:
        if groups and face[0] - groups[-1][-1][0] < _SAME_HEIGHT:
            groups[-1].append(face)
        else:
            groups.append([face])
    candidates = []
    for group in groups:
        up = min((each[2] for each in group), key=lambda each: tuple(each.round(6).tolist()))
        # Rounded, because the shares of two mirrored faces differ by rounding errors only.
        candidates.append((round(sum(each[1] for each in group), 6), up))
    candidates.sort(key=lambda each: (-each[0], tuple(each[1].round(6).tolist())))
    chosen: list[tuple[float, np.ndarray]] = []
    for share, up in candidates:
        if all(float(up @ other) < math.cos(APART) for _, other in chosen):
            chosen.append((share, up))
    return [Rest(_placed(obj.vertices, centre, up), share) for share, up in chosen[:count]]


def centre_of_mass(obj: Object) -> Float[np.ndarray, "3"]:
    """Return the centre of mass in metres, in the object's frame, at uniform density.

    Args:
        obj: Mesh in metres.
    """
    measured = solid(obj, obj.parts or ())
    return obj.centre if measured is None else measured[1]


def _stable_faces(
    vertices: np.ndarray, centre: np.ndarray
) -> list[tuple[float, float, np.ndarray]]:
    """Return the height of the centre, the share, and the upward direction for each stable face."""
    from scipy.spatial import ConvexHull

    hull = ConvexHull(vertices)
    corners = vertices[hull.vertices]
    faces: list[tuple[float, float, np.ndarray]] = []
    taken = np.zeros(len(hull.equations), bool)
    for index, (*normal, _) in enumerate(hull.equations):
        if taken[index]:
            continue
        down = np.array(normal)
        depth = corners @ down
        support = corners[depth >= depth.max() - FLAT]
        # Triangles of one flat face have equal equations up to rounding errors.
        taken |= hull.equations[:, :3] @ down > 1 - 1e-10
        along, across = _horizontal(-down)
        flat = np.stack([support @ along, support @ across], axis=1)
        polygon = flat[ConvexHull(flat).vertices]
        margin = _margin(polygon, np.array([centre @ along, centre @ across]))
        height = float(depth.max() - centre @ down)
        if margin >= MARGIN and math.atan2(margin, height) >= STEADY:
            around = np.column_stack([polygon - [centre @ along, centre @ across],
                                      np.full(len(polygon), height)])  # fmt: skip
            faces.append((height, _solid_angle(around) / (4 * math.pi), -down))
    return faces


def _margin(polygon: np.ndarray, point: np.ndarray) -> float:
    """Return the distance from a point to the edge of a counter-clockwise convex polygon.

    The distance is negative outside of the polygon.
    """
    edges = np.roll(polygon, -1, axis=0) - polygon
    inward = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
    inward /= np.linalg.norm(inward, axis=1, keepdims=True)
    return float(((point - polygon) * inward).sum(axis=1).min())


def _solid_angle(polygon: np.ndarray) -> float:
    """Return the solid angle of a convex polygon seen from the origin, in steradians.

    The polygon is cut into triangles (Van Oosterom and Strackee, 1983).
    """
    units = polygon / np.linalg.norm(polygon, axis=1, keepdims=True)
    a, b, c = units[0], units[1:-1], units[2:]
    volume = np.cross(b, c) @ a
    below = 1 + b @ a + c @ a + (b * c).sum(axis=1)
    return float(np.abs(2 * np.arctan2(volume, below)).sum())


def _horizontal(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two unit vectors that are orthogonal to `up` and to each other."""
    first = np.array([1.0, 0.0, 0.0]) if abs(up[0]) < 0.8 else np.array([0.0, 1.0, 0.0])
    along = first - (first @ up) * up
    along /= np.linalg.norm(along)
    return along, np.cross(up, along)


def _placed(vertices: np.ndarray, centre: np.ndarray, up: np.ndarray) -> np.ndarray:
    up = up / np.linalg.norm(up)
    pose = np.eye(4)
    pose[:3, :3] = [*_horizontal(up), up]
    pose[:3, 3] = -pose[:3, :3] @ centre
    pose[2, 3] = -float((vertices @ up).min())
    return pose

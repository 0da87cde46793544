"""Overlap of a hand with the surface of a mesh, without convex parts and without a physics engine.

`grasp.physics.in_collision` tests the object's convex parts. This test needs only the triangles, so
it checks the convex parts as well as the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from grasp.grippers.gripper import Box
from grasp.objects.object import Object
from grasp.objects.signed_distances import signed_distance
from pcdiff.errors import InputError

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)


def overlaps(
    obj: Object, boxes: Sequence[Box], poses: Float[np.ndarray, "grasps 4 4"], tolerance: float
) -> Bool[np.ndarray, " grasps"]:
    """Test at each pose whether boxes overlap a mesh by more than a tolerance.

    A box overlaps the mesh if one of two conditions is met. The first: a point of the surface is
    inside the box and farther than the tolerance from each of its sides. The second: a corner of
    the box is inside the solid and farther than the tolerance from its surface. An edge of a box
    that crosses an edge of the mesh meets the first condition only at an overlap of up to √2 times
    the tolerance. An open mesh has no inside where its faces have no known outside, so there only
    the first condition counts.

    Args:
        obj: Mesh to test.
        boxes: Boxes in the gripper's frame, in metres.
        poses: Poses `T_object_grasp` of the boxes, translations in metres.
        tolerance: Largest overlap in metres that does not count.

    Raises:
        InputError: If the object is a point cloud.
    """
    if obj.faces is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud, expected a mesh")
    found = np.array([_surface_inside(obj, boxes, pose, tolerance) for pose in poses], bool)
    if len(boxes) and not found.all():
        rest = np.flatnonzero(~found)
        found[rest] = _corners_inside(obj, boxes, poses[rest], tolerance)
    return found


def _surface_inside(
    obj: Object,
    boxes: Sequence[Box],
    pose: Float[np.ndarray, "4 4"],
    tolerance: float,
) -> bool:
    """Test whether a triangle meets one of the boxes after the tolerance is cut off each side."""
    assert obj.faces is not None
    local = (obj.vertices - pose[:3, 3]) @ pose[:3, :3]
    first, second, third = local[obj.faces.T]
    low = np.minimum(np.minimum(first, second), third)
    high = np.maximum(np.maximum(first, second), third)
    for box in boxes:
        half = box.half_extents - tolerance
        if (half <= 0).any():
            continue  # the box is so thin that no point inside is farther from each side
        near = (low <= box.centre + half).all(axis=1) & (high >= box.centre - half).all(axis=1)
        if near.any() and triangles_meet_box(local[obj.faces[near]] - box.centre, half).any():
            return True
    return False


def triangles_meet_box(
    triangles: Float[np.ndarray, "faces 3 3"], half: Float[np.ndarray, "3"]
) -> Bool[np.ndarray, " faces"]:
    """Test whether each triangle has a point in a box that is centred at the origin.

    A triangle and a box are apart if and only if their projections onto one of 13 axes are apart:
    the box's sides, the triangle's normal, and the cross products of their edges (Akenine-Möller,
    "Fast 3D triangle-box overlap testing", 2001).

    Args:
        triangles: Corners in the frame of the box, in metres.
        half: Half of the box's side lengths in metres.
    """
    edges = np.roll(triangles, -1, axis=1) - triangles
    sides = np.eye(3)
    normals = np.cross(edges[:, 0], edges[:, 1])
    crosses = np.cross(edges[:, :, None], sides[None, None]).reshape(len(triangles), 9, 3)
    axes = np.concatenate(
        [np.broadcast_to(sides, (len(triangles), 3, 3)), normals[:, None], crosses], axis=1
    )
    shadows = np.einsum("nai,nci->nac", axes, triangles)
    reach = np.abs(axes) @ half
    apart = (shadows.min(axis=2) > reach) | (shadows.max(axis=2) < -reach)
    return ~apart.any(axis=1)


def _corners_inside(
    obj: Object,
    boxes: Sequence[Box],
    poses: Float[np.ndarray, "grasps 4 4"],
    tolerance: float,
) -> Bool[np.ndarray, " grasps"]:
    """Test whether a corner of a box is deeper than the tolerance inside the solid."""
    corners = np.concatenate([box.centre + _CORNERS * box.half_extents for box in boxes])
    places = np.einsum("nij,kj->nki", poses[:, :3, :3], corners) + poses[:, None, :3, 3]
    low, high = obj.bounds
    within = ((places > low + tolerance) & (places < high - tolerance)).all(axis=2)
    deep = np.zeros(within.shape, bool)
    if within.any():
        deep[within] = signed_distance(obj, places[within]) < -tolerance
    return np.asarray(deep.any(axis=1))

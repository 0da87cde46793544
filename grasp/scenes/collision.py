"""Collision tests for a gripper, and the opening at which its fingers touch an object.

The gripper consists of the boxes in its description. The default opening is the largest opening. A
collision is an overlap by more than a tolerance, as in the physics simulation. The test is exact
for boxes and half-spaces. An object is represented by points on its surface, and the gripper
collides with the object if a point is inside a box of the gripper. So the points must be dense
enough to hit the smallest box. The test does not detect a finger that is completely inside a solid,
because the finger crosses no surface.

Poses are rigid transforms `T_object_grasp`, (n, 4, 4), in metres. The object frame is the common
frame of the points, boxes and half-spaces; it can also be the world frame. Poses are numpy arrays
or torch tensors, and results have the type of the poses. Tensors are processed on their device. The
other arguments may be arrays or tensors. Computations use double precision if the device supports
it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from grasp.grippers.gripper import Gripper
from grasp.poses.rigid import check_poses
from grasp.scenes.arrays import (
    AnyArray,
    Array,
    as_double,
    functions_of,
    is_on_cpu,
    keep_largest,
    like,
    on_host,
)
from pcdiff.errors import InputError

TOLERANCE = 0.001
"""Overlap in metres that does not count as a collision, as in the physics protocol."""

DENSITY = 100_000.0
"""Points per square metre on a mesh: a spacing of 3 mm, or 20 points on a 2 cm² fingertip."""

POINT_TOLERANCE = 0.0005
"""Tolerance for points in metres. If a box overlaps a surface by `TOLERANCE`, few surface points
are that deep inside the box, and near its corners there are no such points. With half of
`TOLERANCE`, the test with points agrees best with the physics simulation."""

# Number of pairs of a pose and a point that are processed at once. On a CPU, the pairs should fit
# into the cache. Other devices need many pairs at once to be fast.
_PAIRS_ON_CPU = 2**16
_PAIRS_ELSEWHERE = 2**22

_PARALLEL = 1e-6
"""Sine of the smallest angle between two edges that do not count as parallel."""


# --- Against a surface ----------------------------------------------------------------------------


def in_collision(
    poses: Float[Array, "n 4 4"],
    gripper: Gripper,
    points: Float[AnyArray, "m 3"],
    width: float | None = None,
    tolerance: float = POINT_TOLERANCE,
) -> Bool[Array, " n"]:
    """Test whether any point is inside a box of the gripper by at least the tolerance.

    Args:
        poses: Gripper poses `T_object_grasp`, translations in metres.
        gripper: Gripper at each pose.
        points: Points on a surface in metres, in the object frame. With 5 random points per square
            centimetre, a fingertip with a cross-section of 1 cm² hits at least one point in 99 of
            100 cases.
        width: Opening between the pads in metres. None means the largest opening.
        tolerance: A point collides if its depth inside a box is at least this length in metres.

    Raises:
        InputError: If a pose is not rigid, a point is not finite, or the width or the tolerance is
            out of its range.
    """
    xp = functions_of(poses)
    centres, halves = _boxes(gripper, width, tolerance)
    lower, upper = centres - halves + tolerance, centres + halves - tolerance
    found = xp.zeros(len(poses), dtype=xp.bool, device=poses.device)
    for pose, local in _within(poses, points, lower.min(axis=0), upper.max(axis=0)):
        for low, high in zip(lower, upper, strict=True):
            found[pose[_between(local, low, high)]] = True
    return found


def closing_width(
    poses: Float[Array, "n 4 4"], gripper: Gripper, points: Float[AnyArray, "m 3"]
) -> Float[Array, " n"]:
    """Compute the opening in metres at which both fingers touch the points between them.

    Both fingers move by equal distances and push the object along x until both fingers touch the
    object. The opening is the extent along x of the points between the pads, or more if another box
    of a finger touches first. A real hand closes further on an oblique object, because the object
    turns between the fingers. Let the boxes b of the closed finger start at x = g_b, and let x_i be
    the coordinates of the points in the path of each box. The opening is

        max_{b, i} (x_i − g_b) + max_{b, i} (−x_i − g_b).

    The result is too small if the points miss the outermost parts of the surface.

    Args:
        poses: Poses `T_object_grasp` of the open gripper, translations in metres. Points outside
            the space between its fingers are ignored.
        gripper: Gripper at each pose.
        points: Points on a surface in metres, in the object frame.

    Returns:
        The openings in metres, from 0 to the gripper's stroke. An opening is 0 if no points are
        between the fingers.

    Raises:
        InputError: If a pose is not rigid or a point is not finite.
    """
    xp = functions_of(poses)
    lower = np.stack([box.centre - box.half_extents for box in gripper.finger_boxes])
    upper = np.stack([box.centre + box.half_extents for box in gripper.finger_boxes])
    begins = lower[:, 0].copy()
    upper[:, 0] = begins + gripper.stroke / 2
    lower[:, 0] = -upper[:, 0]
    right = xp.full_like(as_double(poses[:, 0, 0]), -xp.inf)
    left = xp.full_like(right, -xp.inf)
    for pose, local in _within(poses, points, lower.min(axis=0), upper.max(axis=0)):
        for low, high, begin in zip(lower, upper, begins, strict=True):
            inside = _between(local, low, high)
            x = local[0, inside]
            keep_largest(right, pose[inside], x - begin)
            keep_largest(left, pose[inside], -x - begin)
    return xp.maximum(right + left, xp.zeros_like(right))


def _within(
    poses: Array, points: AnyArray, lower: np.ndarray, upper: np.ndarray
) -> Iterator[tuple[Array, Array]]:
    """Find the points inside a box in the gripper's frame, for a few poses at a time.

    The corners of the box are `lower` and `upper`.

    Yields:
        For k pairs of a pose and a point in the box: the indices of the poses, (k,), and the points
        in the gripper's frame, (3, k).
    """
    xp = functions_of(poses)
    check_poses("grasp", on_host(poses))
    places = as_double(poses[:, :3, 3])
    surface = like(places, points)
    if not xp.isfinite(surface).all():
        raise InputError(
            "the surface points of a collision test must be finite, got NaN or infinity"
        )
    if not len(poses):
        return
    reach = np.linalg.norm(np.maximum(np.abs(lower), np.abs(upper)))
    near = surface >= xp.amin(places, axis=0) - reach
    near &= surface <= xp.amax(places, axis=0) + reach
    near_points = surface[xp.all(near, axis=1)].T
    to_hand = as_double(poses[:, :3, :3]).swapaxes(1, 2)
    offsets = to_hand @ places[:, :, None]
    pairs = _PAIRS_ON_CPU if is_on_cpu(poses) else _PAIRS_ELSEWHERE
    block = max(1, pairs // max(1, near_points.shape[1]))
    for start in range(0, len(poses), block):
        part = slice(start, start + block)
        local = to_hand[part] @ near_points - offsets[part]
        pose, point = xp.where(_between(local.swapaxes(0, 1), lower, upper))
        yield start + pose, local[pose, :, point].T


def _between(coordinates: Array, lower: np.ndarray, upper: np.ndarray) -> Bool[Array, "*pairs"]:
    """Test whether points, (3, …), are in a box or on its sides; two corners define the box."""
    inside = functions_of(coordinates).ones_like(coordinates[0], dtype=bool)
    for along, low, high in zip(coordinates, lower, upper, strict=True):
        inside &= along >= low
        inside &= along <= high
    return inside


# --- Against half-spaces and boxes ----------------------------------------------------------------


def meets_half_space(
    poses: Float[Array, "n 4 4"],
    gripper: Gripper,
    T_object_surface: Float[AnyArray, "4 4"],
    width: float | None = None,
    tolerance: float = TOLERANCE,
) -> Bool[Array, " n"]:
    """Test whether the gripper reaches below a plane, such as a table, by more than the tolerance.

    Args:
        poses: Gripper poses `T_object_grasp`, translations in metres.
        gripper: Gripper at each pose.
        T_object_surface: Pose of the plane's frame. In this frame, the plane is z = 0 and the
            half-space below the plane is z < 0.
        width: Opening between the pads in metres. None means the largest opening.
        tolerance: Largest overlap in metres that does not count as a collision.

    Raises:
        InputError: If a pose is not rigid, or the width or the tolerance is out of its range.
    """
    check_poses("grasp", on_host(poses))
    check_poses("half-space", on_host(T_object_surface)[None])
    poses = as_double(poses)
    xp = functions_of(poses)
    centres, halves = (like(poses, each) for each in _boxes(gripper, width, tolerance))
    surface = like(poses, T_object_surface)
    normal = surface[:3, 2]
    downward = poses[:, :3, :3].swapaxes(1, 2) @ normal
    heights = (poses[:, :3, 3] - surface[:3, 3]) @ normal
    lowest = downward @ centres.T - xp.abs(downward) @ halves.T
    return heights + xp.amin(lowest, axis=1) < -tolerance


def meets_box(
    poses: Float[Array, "n 4 4"],
    gripper: Gripper,
    T_object_box: Float[AnyArray, "4 4"],
    size: Float[AnyArray, "3"],
    width: float | None = None,
    tolerance: float = TOLERANCE,
) -> Bool[Array, " n"]:
    """Test whether the gripper and a box overlap by more than the tolerance.

    The test uses the separating axes of two boxes (Gottschalk, Lin and Manocha, "OBBTree", 1996,
    section 5): the axes perpendicular to their sides, and the axes perpendicular to one edge of
    each box. The smallest overlap along these axes is the smallest movement of one box that ends
    the overlap.

    Args:
        poses: Gripper poses `T_object_grasp`, translations in metres.
        gripper: Gripper at each pose.
        T_object_box: Pose of the box's frame. The origin of the frame is the centre of the box, and
            the axes of the frame are parallel to the sides.
        size: Side lengths of the box in metres.
        width: Opening between the pads in metres. None means the largest opening.
        tolerance: Largest overlap in metres that does not count as a collision.

    Raises:
        InputError: If a pose is not rigid, or the size, the width or the tolerance is out of its
            range.
    """
    check_poses("grasp", on_host(poses))
    check_poses("box", on_host(T_object_box)[None])
    sides = on_host(size)
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        raise InputError(
            f"the side lengths of a box must be above 0 and finite, got {sides.tolist()}"
        )
    poses = as_double(poses)
    xp = functions_of(poses)
    centres, halves = (like(poses, each) for each in _boxes(gripper, width, tolerance))
    box = like(poses, T_object_box)
    rotation, place = box[:3, :3], box[:3, 3]
    # In the box's frame: the axes of each gripper as columns, and the centres of gripper boxes.
    hand = rotation.T @ poses[:, :3, :3]
    apart = ((poses[:, :3, 3] - place) @ rotation)[:, None] + centres @ hand.swapaxes(1, 2)
    axes = _separating_axes(hand)
    radii = (xp.abs(axes) @ (like(poses, size) / 2))[:, :, None] + xp.abs(axes @ hand) @ halves.T
    overlap = radii - xp.abs(axes @ apart.swapaxes(1, 2))
    overlap[~xp.any(axes, axis=2)] = xp.inf
    return xp.any(xp.amin(overlap, axis=1) > tolerance, axis=1)


def _separating_axes(hand: Float[Array, "n 3 3"]) -> Float[Array, "n 15 3"]:
    """Compute the separating axes between an obstacle box and the boxes of each hand.

    All axes are in the frame of the obstacle box. The axis of two parallel edges is 0, because
    parallel edges define no axis.

    Args:
        hand: Axes of each hand as columns, in the frame of the obstacle box.
    """
    xp: Any = functions_of(hand)
    own = xp.broadcast_to(like(hand, np.eye(3)), hand.shape)
    theirs = hand.swapaxes(1, 2)
    edges = xp.linalg.cross(own[:, :, None], theirs[:, None]).reshape(-1, 9, 3)
    sines = xp.linalg.vector_norm(edges, axis=2, keepdims=True)
    across = sines > _PARALLEL
    edges = xp.where(across, edges / xp.where(across, sines, 1), 0)
    return xp.concat([own, theirs, edges], axis=1)


def _boxes(
    gripper: Gripper, width: float | None, tolerance: float
) -> tuple[Float[np.ndarray, "boxes 3"], Float[np.ndarray, "boxes 3"]]:
    """Return the centres and the half extents in metres of the gripper's boxes at an opening."""
    if not 0 <= tolerance < math.inf:
        raise InputError(f"the collision tolerance must be at least 0 m, got {tolerance}")
    boxes = gripper.boxes(gripper.stroke if width is None else width)
    centres = np.stack([box.centre for box in boxes])
    return centres, np.stack([box.half_extents for box in boxes])

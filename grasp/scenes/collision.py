"""Tests whether a gripper collides with what is around it, and how far its fingers close.

The gripper is the set of boxes in its description, at the largest opening unless another one is
given. It collides with whatever it overlaps by more than a tolerance, as in the physics simulation.
The test is exact for boxes and half-spaces. An object is represented by points on its surface and
collides if a point is inside a box. So the points must be dense enough to hit the smallest part of
the gripper, and a finger that is completely inside a solid is not detected, because it crosses no
surface.

Poses are rigid transforms `T_object_grasp`, (n, 4, 4), in metres. "Object" stands for the frame of
the points, boxes and half-spaces, which can also be the world. Poses are numpy arrays or tensors;
tensors are processed on their device, and results are of the kind of the poses. Other arguments may
be of either kind. Computations use double precision where the device has it.
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
"""Overlap in metres that does not count as a collision, as in the protocol of the physics."""

DENSITY = 100_000.0
"""Points per square metre on a mesh: about 3 mm apart, or 20 on a fingertip of 2 cm²."""

POINT_TOLERANCE = 0.0005
"""Tolerance for points in metres. If a box overlaps a surface by `TOLERANCE`, hardly any point is
that deep inside the box, and at its corners none is. With half of it, points agree best with the
physics."""

# Pairs of a pose and a point that are processed at once: on a CPU they should fit into its cache,
# while other devices need enough work at once.
_PAIRS_ON_CPU = 2**16
_PAIRS_ELSEWHERE = 2**22

_PARALLEL = 1e-6
"""Sine of the angle below which two edges count as parallel and have no common normal."""


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
        poses: Gripper poses.
        gripper: Gripper at each pose.
        points: Points on a surface in metres, in the frame of the poses. With 5 random points per
            square centimetre, a fingertip whose cross-section is 1 cm² hits at least one in 99 of
            100 cases.
        width: Opening between the pads in metres. None means the largest opening.
        tolerance: Smallest distance in metres between a point in a box and the sides of this box
            that counts as a collision.

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
    """Compute the opening in metres at which both fingers touch whatever is between them.

    Both fingers move alike and push the object along x until both touch it. The opening is then the
    extent along x of everything between the pads, or more if another box of the fingers touches
    first. Squeezing further turns an oblique object, so a real hand closes further. With the boxes
    b of the closed finger, which start at x = g_b, and the points x_i in the way of each box, it is

        max_{b, i} (x_i − g_b) + max_{b, i} (−x_i − g_b).

    The result is too small where the points miss the outermost parts of the surface.

    Args:
        poses: Poses of the open gripper. Points outside the space between its fingers are ignored.
        gripper: Gripper at each pose.
        points: Points on a surface in metres, in the frame of the poses.

    Returns:
        The openings, from 0 to the gripper's stroke; 0 if nothing is between the fingers.

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
    """Find the points between two corners in the gripper's frame, for a few poses at a time.

    Yields:
        For each pair of a pose and a point: the index of the pose, (k,), and the point in the
        gripper's frame, (3, k).
    """
    xp = functions_of(poses)
    check_poses("grasp", on_host(poses))
    places = as_double(poses[:, :3, 3])
    surface = like(places, points)
    if not xp.isfinite(surface).all():
        raise InputError("surface points must be finite for a collision test")
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
    """Test whether points, (3, …), are inside the box between two corners or on its sides."""
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
        poses: Gripper poses.
        gripper: Gripper at each pose.
        T_object_surface: Frame of the plane z = 0; the half-space is z < 0.
        width: Opening between the pads in metres. None means the largest opening.
        tolerance: Largest overlap in metres that does not count.

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

    This uses the separating axes of two boxes (Gottschalk, Lin and Manocha, "OBBTree", 1996,
    section 5): the normals of their sides and the common normals of their edges. The smallest
    overlap along these axes is the distance by which one box must move to clear the other.

    Args:
        poses: Gripper poses.
        gripper: Gripper at each pose.
        T_object_box: Frame of the box, whose centre is the origin and whose sides are parallel to
            the axes.
        size: Side lengths of the box in metres.
        width: Opening between the pads in metres. None means the largest opening.
        tolerance: Largest overlap in metres that does not count.

    Raises:
        InputError: If a pose is not rigid, or the size, the width or the tolerance is out of its
            range.
    """
    check_poses("grasp", on_host(poses))
    check_poses("box", on_host(T_object_box)[None])
    sides = on_host(size)
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        raise InputError(f"the size of a box must be above 0 and finite, got {sides.tolist()}")
    poses = as_double(poses)
    xp = functions_of(poses)
    centres, halves = (like(poses, each) for each in _boxes(gripper, width, tolerance))
    box = like(poses, T_object_box)
    rotation, place = box[:3, :3], box[:3, 3]
    # In the frame of the box: the axes of each gripper as columns, and the centres of its boxes.
    hand = rotation.T @ poses[:, :3, :3]
    apart = ((poses[:, :3, 3] - place) @ rotation)[:, None] + centres @ hand.swapaxes(1, 2)
    axes = _separating_axes(hand)
    radii = (xp.abs(axes) @ (like(poses, size) / 2))[:, :, None] + xp.abs(axes @ hand) @ halves.T
    overlap = radii - xp.abs(axes @ apart.swapaxes(1, 2))
    overlap[~xp.any(axes, axis=2)] = xp.inf
    return xp.any(xp.amin(overlap, axis=1) > tolerance, axis=1)


def _separating_axes(hand: Float[Array, "n 3 3"]) -> Float[Array, "n 15 3"]:
    """Compute separating axes in the frame of a box; 0 for parallel edges, which give no axis.

    Args:
        hand: Axes of the hands, whose boxes are tested against that box, as columns in its frame.
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
    """Return the centres and half extents of the gripper's boxes at an opening."""
    if not 0 <= tolerance < math.inf:
        raise InputError(f"the tolerance of a collision must be 0 m or more, got {tolerance}")
    boxes = gripper.boxes(gripper.stroke if width is None else width)
    centres = np.stack([box.centre for box in boxes])
    return centres, np.stack([box.half_extents for box in boxes])

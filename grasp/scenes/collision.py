"""Whether the open hand of a grasp is in something's way, and how far its fingers close.

The hand is the boxes of its description at an opening, the widest unless one is given. It collides
with what it overlaps by more than a tolerance, as the physics has it. Against boxes and half-spaces
that is exact. An object is given by points of its surface, and collides if one of them is inside a
box: the points must be as dense as what they have to hit, and a finger that is inside a solid as a
whole, which crosses its surface nowhere, is not found.

Poses are `T_object_grasp`, arrays (n, 4, 4) of rigid transforms, metres; "object" is any frame that
the things are in, also the world.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from grasp.grippers.gripper import Gripper
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError

TOLERANCE = 0.001
"""Metres by which the hand may overlap something and not collide; that of the physics' protocol."""

DENSITY = 100_000.0
"""Points a square metre that stand for a mesh: about 3 mm apart, 20 to a fingertip of 2 cm²."""

POINT_TOLERANCE = 0.0005
"""Metres. Where a box overlaps a surface by `TOLERANCE`, hardly any point is as deep in the box, at
its corners none: with half of it, points agree best with the physics."""

_AT_ONCE = 2**16  # pairs of a pose and a point: what is computed of them fits a processor's cache

_PARALLEL = 1e-6  # sine of the angle between edges whose common normal is not looked along


# --- Against a surface ----------------------------------------------------------------------------


def in_collision(
    poses: Float[np.ndarray, "n 4 4"],
    gripper: Gripper,
    points: Float[np.ndarray, "m 3"],
    width: float | None = None,
    tolerance: float = POINT_TOLERANCE,
) -> Bool[np.ndarray, " n"]:
    """Whether a point is inside one of the hand's boxes by a tolerance or more.

    Args:
        poses: Of the hand.
        gripper: The hand.
        points: Of a surface, in the frame of the poses, metres. Of 5 random ones a square
            centimetre, a fingertip with a section of 1 cm² meets at least one 99 times of 100.
        width: Of the opening, metres; None for the widest.
        tolerance: To the nearest side of the box, metres.

    Raises:
        InputError: A pose is not rigid, a point is not finite, or another argument is out of its
            range.
    """
    centres, halves = _boxes(gripper, width, tolerance)
    lower, upper = centres - halves + tolerance, centres + halves - tolerance
    found = np.zeros(len(poses), bool)
    for pose, local in _within(poses, points, lower.min(axis=0), upper.max(axis=0)):
        for low, high in zip(lower, upper, strict=True):
            found[pose[_between(local, low, high)]] = True
    return found


def closing_width(
    poses: Float[np.ndarray, "n 4 4"], gripper: Gripper, points: Float[np.ndarray, "m 3"]
) -> Float[np.ndarray, " n"]:
    """The opening at which both fingers touch what is between them, metres.

    The fingers close alike, and push the object along x until both touch it: the opening is then
    the extent along x of what is between the pads, or more if another part of the fingers touches
    first. Squeezed further, an object that is askew turns, and the hand ends narrower. With the
    closed finger's boxes b, which begin at x = g_b, and the points x_i in the way of each, it is

        max_{b, i} (x_i − g_b) + max_{b, i} (−x_i − g_b).

    It comes out too small by what the points miss of the surface.

    Args:
        poses: Of the open hand; what is not between its fingers does not count.
        gripper: The hand.
        points: Of a surface, in the frame of the poses, metres.

    Returns:
        0 to the gripper's stroke; 0, as of an empty hand, where nothing is between the fingers.

    Raises:
        InputError: A pose is not rigid or a point is not finite.
    """
    lower = np.stack([box.centre - box.half_extents for box in gripper.finger_boxes])
    upper = np.stack([box.centre + box.half_extents for box in gripper.finger_boxes])
    begins = lower[:, 0].copy()
    upper[:, 0] = begins + gripper.stroke / 2
    lower[:, 0] = -upper[:, 0]
    right, left = np.full((2, len(poses)), -np.inf)
    for pose, local in _within(poses, points, lower.min(axis=0), upper.max(axis=0)):
        for low, high, begin in zip(lower, upper, begins, strict=True):
            inside = _between(local, low, high)
            x = local[0, inside]
            np.maximum.at(right, pose[inside], x - begin)
            np.maximum.at(left, pose[inside], -x - begin)
    return np.maximum(right + left, 0.0)


def _within(
    poses: np.ndarray, points: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The points that are between two corners in the frame of the hand, for some poses at a time.

    Yields:
        The place of a pose, (k,), and a point in its frame, (3, k), for each such pair.
    """
    check_poses("grasp", poses)
    if not np.isfinite(points).all():
        raise InputError("the points of a surface must be finite to be held against a hand")
    if not len(poses):
        return
    reach = np.linalg.norm(np.maximum(np.abs(lower), np.abs(upper)))
    places = poses[:, :3, 3].astype(np.float64)
    near = (points >= places.min(axis=0) - reach) & (points <= places.max(axis=0) + reach)
    near_points = points[near.all(axis=1)].T
    to_hand = poses[:, :3, :3].astype(np.float64).swapaxes(1, 2)
    offsets = to_hand @ places[:, :, None]
    block = max(1, _AT_ONCE // max(1, near_points.shape[1]))
    for start in range(0, len(poses), block):
        part = slice(start, start + block)
        local = to_hand[part] @ near_points - offsets[part]
        pose, point = np.nonzero(_between(local.swapaxes(0, 1), lower, upper))
        yield start + pose, local[pose, :, point].T


def _between(
    coordinates: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> Bool[np.ndarray, "*pairs"]:
    """Whether points (3, …) are in the box of two corners, its sides included."""
    inside = np.ones(coordinates.shape[1:], bool)
    for along, low, high in zip(coordinates, lower, upper, strict=True):
        inside &= along >= low
        inside &= along <= high
    return inside


# --- Against half-spaces and boxes ----------------------------------------------------------------


def meets_half_space(
    poses: Float[np.ndarray, "n 4 4"],
    gripper: Gripper,
    T_object_surface: Float[np.ndarray, "4 4"],
    width: float | None = None,
    tolerance: float = TOLERANCE,
) -> Bool[np.ndarray, " n"]:
    """Whether the hand reaches below a plane, as of a table, by more than a tolerance.

    Args:
        poses: Of the hand.
        gripper: The hand.
        T_object_surface: The plane is z = 0 of this frame, and below is z < 0.
        width: Of the opening, metres; None for the widest.
        tolerance: Metres.

    Raises:
        InputError: A pose is not rigid or another argument is out of its range.
    """
    check_poses("grasp", poses)
    check_poses("half-space", T_object_surface[None])
    centres, halves = _boxes(gripper, width, tolerance)
    normal = T_object_surface[:3, 2]
    downward = poses[:, :3, :3].swapaxes(1, 2) @ normal
    heights = (poses[:, :3, 3] - T_object_surface[:3, 3]) @ normal
    lowest = downward @ centres.T - np.abs(downward) @ halves.T
    return heights + lowest.min(axis=1) < -tolerance


def meets_box(
    poses: Float[np.ndarray, "n 4 4"],
    gripper: Gripper,
    T_object_box: Float[np.ndarray, "4 4"],
    size: Float[np.ndarray, "3"],
    width: float | None = None,
    tolerance: float = TOLERANCE,
) -> Bool[np.ndarray, " n"]:
    """Whether the hand and a box overlap by more than a tolerance.

    By the separating axes of two boxes (Gottschalk, Lin and Manocha, "OBBTree", 1996, section 5):
    the normals of their sides and the common normals of their edges. The least overlap along these
    is the distance by which one of the boxes would have to move to be clear of the other.

    Args:
        poses: Of the hand.
        gripper: The hand.
        T_object_box: The box has its centre at the origin of this frame and its sides along the
            axes.
        size: The lengths of its sides, metres.
        width: Of the opening, metres; None for the widest.
        tolerance: Metres.

    Raises:
        InputError: A pose is not rigid or another argument is out of its range.
    """
    check_poses("grasp", poses)
    check_poses("box", T_object_box[None])
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise InputError(f"the size of a box must be above 0 and finite, got {size.tolist()}")
    centres, halves = _boxes(gripper, width, tolerance)
    rotation, place = T_object_box[:3, :3], T_object_box[:3, 3]
    # In the frame of the box: the axes of each hand as columns, and the centres of its boxes.
    hand = rotation.T @ poses[:, :3, :3]
    apart = ((poses[:, :3, 3] - place) @ rotation)[:, None] + centres @ hand.swapaxes(1, 2)
    axes = _separating_axes(hand)
    radii = (np.abs(axes) @ (size / 2))[:, :, None] + np.abs(axes @ hand) @ halves.T
    overlap = radii - np.abs(axes @ apart.swapaxes(1, 2))
    overlap[~axes.any(axis=2)] = np.inf
    return (overlap.min(axis=1) > tolerance).any(axis=1)


def _separating_axes(hand: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 15 3"]:
    """Unit vectors in the frame of a box; 0 for edges that are parallel, which separate nothing.

    Args:
        hand: The axes of other boxes in that frame, as columns.
    """
    own = np.broadcast_to(np.eye(3), hand.shape)
    theirs = hand.swapaxes(1, 2)
    edges = np.cross(own[:, :, None], theirs[:, None]).reshape(-1, 9, 3)
    sines = np.linalg.norm(edges, axis=2, keepdims=True)
    across = sines > _PARALLEL
    edges = np.where(across, edges / np.where(across, sines, 1), 0)
    return np.concatenate([own, theirs, edges], axis=1)


def _boxes(
    gripper: Gripper, width: float | None, tolerance: float
) -> tuple[Float[np.ndarray, "boxes 3"], Float[np.ndarray, "boxes 3"]]:
    """Centres and half extents of the hand's boxes at an opening."""
    if not 0 <= tolerance < math.inf:
        raise InputError(f"the tolerance of a collision must be 0 m or more, got {tolerance}")
    boxes = gripper.boxes(gripper.stroke if width is None else width)
    centres = np.stack([box.centre for box in boxes])
    return centres, np.stack([box.half_extents for box in boxes])

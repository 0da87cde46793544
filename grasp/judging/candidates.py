"""Candidates of grasps at antipodal contacts, to be labelled in physics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from grasp.grippers.gripper import Gripper
from grasp.judging.contacts import FRICTION, Contacts, antipodal_contacts, perpendicular
from grasp.objects.object import Object
from grasp.scenes.collision import in_collision as contains_points
from pcdiff.errors import InputError

ANTIPODAL, RIM, NEAR_MISS = KINDS = ("antipodal", "rim", "near miss")
"""The kinds of candidates.

- antipodal: the fingers close on the object as a whole, or on a thick part of it.
- rim: on what is thin for the object, less than a quarter of its `thickness`: on the wall of a
  vessel, at its rim, or on a handle.
- near miss: one of the others, moved and turned a little.
"""


# Of candidates; see there. Shares, and the spreads of near misses in metres and radians.
_CHOICE = 4  # proposals for each candidate


_CLEAR = 0.5


_LEAST_OF_A_KIND = 0.3


_THIN = 0.25


_DEEP = 0.25


_MISS_TRANSLATION, _MISS_ROTATION, _MISS_LEAST = 0.02, 0.5, 0.2


_SURFACE_POINTS = 512  # by which proposals are told to be clear


@dataclass(frozen=True, eq=False)
class Candidates:
    """Grasps to try, in no order.

    Attributes:
        poses: `T_object_grasp`.
        kinds: of `KINDS`.
        contacts: the pair that each was made from.
        depth: from the gripper's base to the middle of the contacts along the approach, metres,
            before a near miss was moved.
    """

    poses: Float[np.ndarray, "grasps 4 4"]
    kinds: Shaped[np.ndarray, " grasps"]
    contacts: Contacts
    depth: Float[np.ndarray, " grasps"]

    def __len__(self) -> int:
        return len(self.poses)


def candidates(
    obj: Object,
    gripper: Gripper,
    count: int,
    rng: np.random.Generator,
    *,
    friction: float = FRICTION,
    near_misses: float = 0.0,
) -> Candidates:
    """Antipodal grasps with varied approach and depth, for physics to tell which hold.

    The hand closes along the line of a pair of `antipodal_contacts`, with their middle between its
    fingers. Where an object has both thick and thin pairs (see `KINDS`), at least three in ten
    proposals are of either. The approach is uniform around the line; the contacts are anywhere on
    the pads in three quarters of the proposals, anywhere along the fingers in the others. Four
    proposals are made for each candidate. Half of the candidates are drawn among all of them, the
    other half among those at which no sampled point of the surface is inside the open gripper,
    while there are such; so a part of the candidates collides.

    A near miss is moved along and turned about each axis through the middle of its contacts by
    normal draws, whose spread is 0.4 to 2 cm and 6 to 29°, another one for each near miss.

    Args:
        obj: the object.
        gripper: the gripper.
        count: how many.
        rng: the source of randomness.
        friction: the coefficient that the friction cones are of.
        near_misses: the share of near misses, 0 to 1.

    Returns:
        As many as asked for, in random order; none if no pair of contacts was found.

    Raises:
        InputError: an argument is out of its range.
    """
    if not 0 <= near_misses <= 1:
        raise InputError(f"the share of near misses must be 0 to 1, got {near_misses}")
    pool = antipodal_contacts(obj, gripper.stroke, count, rng, friction)
    if not len(pool):
        return Candidates(np.empty((0, 4, 4)), np.empty(0, np.str_), pool, np.empty(0))
    thin = pool.width < _THIN * thickness(obj)
    pairs = _of_both_kinds(thin, _CHOICE * count, rng)
    depth = _depths(gripper, len(pairs), rng)
    poses = _poses(pool.select(pairs), depth, rng)
    chosen = _half_clear(obj, gripper, poses, count, rng)
    pairs, depth, poses = pairs[chosen], depth[chosen], poses[chosen]
    missing = rng.uniform(size=count) < near_misses
    poses[missing] = _moved(poses[missing], depth[missing], rng)
    kinds = np.where(missing, NEAR_MISS, np.where(thin[pairs], RIM, ANTIPODAL))
    return Candidates(poses, kinds, pool.select(pairs), depth)


def thickness(obj: Object) -> float:
    """The thickness of an object, however it lies in its file, metres.

    √12 σ, where σ² is the smallest eigenvalue of the covariance of its surface, or of a cloud's
    points: the diameter of a ball; of other things a little more than their smallest side.

    Args:
        obj: the object.
    """
    local = obj.vertices - obj.centre
    if obj.faces is None:
        covariance = np.cov(local.T, bias=True)
    else:
        corners = local[obj.faces]
        areas = np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        weights, sums = areas / areas.sum(), corners.sum(axis=1)
        # The mean of x xᵀ on a triangle is (Σ cᵢcᵢᵀ + s sᵀ)/12 with s = Σ cᵢ of its corners.
        square = np.einsum("n,nki,nkj->ij", weights, corners, corners)
        square += np.einsum("n,ni,nj->ij", weights, sums, sums)
        mean = weights @ sums / 3
        covariance = square / 12 - np.outer(mean, mean)
    return math.sqrt(12 * max(float(np.linalg.eigvalsh(covariance)[0]), 0.0))


def _of_both_kinds(
    thin: Bool[np.ndarray, " pairs"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, " count"]:
    """Which pairs to propose, neither the thin nor the thick ones too rarely."""
    chosen = rng.integers(len(thin), size=count)
    least = math.ceil(_LEAST_OF_A_KIND * count)
    for rare in (thin, ~thin):
        others = np.flatnonzero(~rare[chosen])
        wanted = least - (count - len(others))
        if rare.any() and wanted > 0:
            replaced = rng.choice(others, wanted, replace=False)
            chosen[replaced] = rng.choice(np.flatnonzero(rare), wanted)
    return chosen


def _depths(gripper: Gripper, count: int, rng: np.random.Generator) -> Float[np.ndarray, " count"]:
    begin, end = gripper.pad
    root = max(box.centre[2] + box.half_extents[2] for box in gripper.hand_boxes)
    on_pad, anywhere = rng.uniform(begin, end, count), rng.uniform(min(root, begin), end, count)
    return np.where(rng.uniform(size=count) < _DEEP, anywhere, on_pad)


def _poses(
    contacts: Contacts, depth: Float[np.ndarray, " pairs"], rng: np.random.Generator
) -> Float[np.ndarray, "pairs 4 4"]:
    # Either finger may be at either contact: the same grasp of a parallel jaw.
    closing = contacts.axis * rng.choice([-1.0, 1.0], len(contacts))[:, None]
    x, y = perpendicular(closing)
    angle = rng.uniform(-math.pi, math.pi, len(contacts))
    approach = np.cos(angle)[:, None] * x + np.sin(angle)[:, None] * y
    poses = np.zeros((len(contacts), 4, 4))
    poses[:, :3, :3] = np.stack([closing, np.cross(approach, closing), approach], axis=2)
    poses[:, :3, 3] = contacts.centre - depth[:, None] * approach
    poses[:, 3, 3] = 1
    return poses


def _half_clear(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "proposals 4 4"],
    count: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " count"]:
    """Which proposals to use: some at random, then clear ones while there are any."""
    order = rng.permutation(len(poses))
    at_random = count - round(_CLEAR * count)
    rest = order[at_random:]
    points = obj.surface(_SURFACE_POINTS, rng)[0]
    clear = ~contains_points(poses[rest], gripper, points, tolerance=0.0)
    rest = np.concatenate([rest[clear], rest[~clear]])[: count - at_random]
    return rng.permutation(np.concatenate([order[:at_random], rest]))


def _moved(
    poses: Float[np.ndarray, "n 4 4"], depth: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, "n 4 4"]:
    """Moved and turned about the point at that depth, each by its own share of the spreads."""
    from scipy.spatial.transform import Rotation

    share = rng.uniform(_MISS_LEAST, 1, (len(poses), 1))
    turn = Rotation.from_rotvec(share * _MISS_ROTATION * rng.normal(size=(len(poses), 3)))
    moved = poses.copy()
    moved[:, :3, :3] = poses[:, :3, :3] @ turn.as_matrix()
    moved[:, :3, 3] += depth[:, None] * (poses[:, :3, 2] - moved[:, :3, 2])
    moved[:, :3, 3] += share * _MISS_TRANSLATION * rng.normal(size=(len(poses), 3))
    return moved

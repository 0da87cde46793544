"""Draw candidate grasps at antipodal contacts. Physics labels these candidates later."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from grasp.grippers.gripper import Gripper
from grasp.judging.contacts import FRICTION, Contacts, antipodal_contacts, complete_frames
from grasp.objects.object import Object
from grasp.scenes.collision import in_collision
from pcdiff.errors import InputError

ANTIPODAL, RIM, NEAR_MISS, FAR_MISS = KINDS = ("antipodal", "rim", "near miss", "far miss")
"""Kinds of candidates.

- antipodal: The fingers close on the whole object or on a thick part of the object.
- rim: The fingers close on a part that is thinner than a quarter of the object's `thickness`, such
  as a handle, or the wall or the rim of a vessel.
- near miss: An antipodal or a rim candidate that is moved and turned a little.
- far miss: An antipodal or a rim candidate that is moved and turned so far that the hand is often
  in empty air.
"""

_PROPOSALS = 4  # proposals per candidate
_CLEAR_SHARE = 0.5  # share of the candidates that are chosen among the clear proposals
_SMALLEST_SHARE = 0.3  # smallest share of thin and of thick pairs among the proposals
_THIN = 0.25  # a pair is thin if its width is below this share of the object's thickness
_DEEP_SHARE = 0.25  # share of the proposals with contacts anywhere along the fingers

# Largest standard deviations of the moves and turns of near misses, in metres and radians, and the
# smallest factor that scales both standard deviations.
_MISS_TRANSLATION, _MISS_ROTATION, _SMALLEST_MISS = 0.02, 0.5, 0.2

# Smallest and largest standard deviation of the turns of far misses in radians, and the standard
# deviation of their moves in metres for each radian.
_FAR_ROTATION, _FAR_TRANSLATION = (0.2, 2.0), 0.1

_SURFACE_POINTS = 512  # points of the surface that decide whether a proposal is clear


@dataclass(frozen=True, eq=False)
class Candidates:
    """Unranked grasps to try in physics.

    Attributes:
        poses: `T_object_grasp` in metres.
        kinds: Kind of each candidate, a member of `KINDS`.
        contacts: Pair of contacts from which each candidate was made.
        depth: Distance in metres along the approach from the gripper's base to the midpoint of the
            contacts. For a near miss, the distance before the move.
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
    far_misses: float = 0.0,
) -> Candidates:
    """Draw antipodal grasps with random approach directions and depths.

    The hand closes along the line between two `antipodal_contacts`, and the midpoint of the
    contacts lies between the fingers. Four proposals are made per candidate. If an object has both
    thick and thin pairs of contacts (see `KINDS`), at least 30 % of the proposals use thick pairs
    and at least 30 % use thin pairs. The approach direction is uniform around the line. The
    contacts are anywhere on the pads in three quarters of the proposals, and anywhere along the
    fingers in the other quarter.

    Half of the candidates are drawn from all proposals. The other half is drawn from the clear
    proposals until no clear proposals remain. A proposal is clear if no sampled surface point lies
    inside the open gripper. So some candidates collide.

    A near miss is rotated around the midpoint of its contacts and then translated. The components
    of the rotation vector and of the translation have Gaussian distributions. Their standard
    deviations are drawn for each near miss, from 6° to 29° and from 0.4 cm to 2 cm.

    Args:
        obj: The object.
        gripper: The gripper.
        count: Number of candidates.
        rng: Random generator.
        friction: Coefficient of friction that defines the friction cones.
        near_misses: Expected share of near misses, 0 to 1.
        far_misses: Expected share of far misses, 0 to 1.

    Returns:
        `count` candidates in random order, or no candidates if no pair of contacts was found.

    Raises:
        InputError: If `count` is below 1, `friction` is not above 0 and finite, a share is not from
            0 to 1, or the sum of both shares is above 1.
    """
    check_misses(near_misses, far_misses)
    pool = antipodal_contacts(obj, gripper.stroke, count, rng, friction)
    if not len(pool):
        return Candidates(np.empty((0, 4, 4)), np.empty(0, np.str_), pool, np.empty(0))
    thin = pool.width < _THIN * thickness(obj)
    pairs = _balanced_pairs(thin, _PROPOSALS * count, rng)
    depth = _depths(gripper, len(pairs), rng)
    poses = _poses(pool.select(pairs), depth, rng)
    chosen = _choose_proposals(obj, gripper, poses, count, rng)
    pairs, depth, poses = pairs[chosen], depth[chosen], poses[chosen]
    number = rng.uniform(size=count)
    near, far = number < near_misses, number >= 1 - far_misses
    share = rng.uniform(_SMALLEST_MISS, 1, int(near.sum()))
    poses[near] = _moved(
        poses[near], depth[near], share * _MISS_ROTATION, share * _MISS_TRANSLATION, rng
    )
    low, high = _FAR_ROTATION
    turn = low * (high / low) ** rng.uniform(size=int(far.sum()))
    poses[far] = _moved(poses[far], depth[far], turn, turn * _FAR_TRANSLATION, rng)
    kinds = np.where(thin[pairs], RIM, ANTIPODAL)
    kinds = np.where(near, NEAR_MISS, np.where(far, FAR_MISS, kinds))
    return Candidates(poses, kinds, pool.select(pairs), depth)


def check_misses(near: float, far: float) -> None:
    """Check the expected shares of near misses and of far misses.

    Args:
        near: Share of near misses.
        far: Share of far misses.

    Raises:
        InputError: If a share is not from 0 to 1, or their sum is above 1.
    """
    for name, share in (("near", near), ("far", far)):
        if not 0 <= share <= 1:
            raise InputError(f"the share of {name} misses must be from 0 to 1, got {share}")
    if near + far > 1:
        raise InputError(
            f"the shares of near and far misses must add up to at most 1, got {near} and {far}"
        )


def thickness(obj: Object) -> float:
    """Compute the thickness of an object in metres, independent of its orientation in the file.

    The thickness is √12 σ. Here σ² is the smallest eigenvalue of the covariance matrix of the
    mesh's surface or of the cloud's points. For the surface of a ball, the thickness is the
    diameter. For the surface of a box, it is 1.3 to 1.7 times the smallest side.

    Args:
        obj: The object.
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


def _balanced_pairs(
    thin: Bool[np.ndarray, " pairs"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, " count"]:
    """Choose indices of pairs of contacts, so that neither thin nor thick pairs are too rare."""
    chosen = rng.integers(len(thin), size=count)
    least = math.ceil(_SMALLEST_SHARE * count)
    for rare in (thin, ~thin):
        others = np.flatnonzero(~rare[chosen])
        wanted = least - (count - len(others))
        if rare.any() and wanted > 0:
            replaced = rng.choice(others, wanted, replace=False)
            chosen[replaced] = rng.choice(np.flatnonzero(rare), wanted)
    return chosen


def _depths(gripper: Gripper, count: int, rng: np.random.Generator) -> Float[np.ndarray, " count"]:
    """Draw contact depths in metres: most on the pads, the others anywhere along the fingers."""
    begin, end = gripper.pad
    root = max(box.centre[2] + box.half_extents[2] for box in gripper.hand_boxes)
    on_pad, anywhere = rng.uniform(begin, end, count), rng.uniform(min(root, begin), end, count)
    return np.where(rng.uniform(size=count) < _DEEP_SHARE, anywhere, on_pad)


def _poses(
    contacts: Contacts, depth: Float[np.ndarray, " pairs"], rng: np.random.Generator
) -> Float[np.ndarray, "pairs 4 4"]:
    """Draw a pose for each pair of contacts, with a uniform approach around the contact line."""
    # Exchanging the fingers gives the same parallel-jaw grasp, so the sign is random.
    closing = contacts.axis * rng.choice([-1.0, 1.0], len(contacts))[:, None]
    x, y = complete_frames(closing)
    angle = rng.uniform(-math.pi, math.pi, len(contacts))
    approach = np.cos(angle)[:, None] * x + np.sin(angle)[:, None] * y
    poses = np.zeros((len(contacts), 4, 4))
    poses[:, :3, :3] = np.stack([closing, np.cross(approach, closing), approach], axis=2)
    poses[:, :3, 3] = contacts.centre - depth[:, None] * approach
    poses[:, 3, 3] = 1
    return poses


def _choose_proposals(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "proposals 4 4"],
    count: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " count"]:
    """Choose indices of proposals: some at random, the rest among clear proposals if possible."""
    order = rng.permutation(len(poses))
    at_random = count - round(_CLEAR_SHARE * count)
    rest = order[at_random:]
    points = obj.surface(_SURFACE_POINTS, rng)[0]
    clear = ~in_collision(poses[rest], gripper, points, tolerance=0.0)
    rest = np.concatenate([rest[clear], rest[~clear]])[: count - at_random]
    return rng.permutation(np.concatenate([order[:at_random], rest]))


def _moved(
    poses: Float[np.ndarray, "n 4 4"],
    depth: Float[np.ndarray, " n"],
    rotation: Float[np.ndarray, " n"],
    translation: Float[np.ndarray, " n"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "n 4 4"]:
    """Turn poses at random around the midpoints of their contacts, and then move them at random.

    Args:
        poses: Poses to move.
        depth: Distance in metres from the gripper's base to the midpoint of the contacts.
        rotation: Standard deviation of the components of each rotation vector in radians.
        translation: Standard deviation of the components of each translation in metres.
        rng: Random generator.
    """
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec(rotation[:, None] * rng.normal(size=(len(poses), 3)))
    moved = poses.copy()
    moved[:, :3, :3] = poses[:, :3, :3] @ turn.as_matrix()
    moved[:, :3, 3] += depth[:, None] * (poses[:, :3, 2] - moved[:, :3, 2])
    moved[:, :3, 3] += translation[:, None] * rng.normal(size=(len(poses), 3))
    return moved

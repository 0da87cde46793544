"""The baseline: antipodal grasps, ranked without a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grasp.formats import Grasps
from grasp.grippers.gripper import Box, Gripper
from grasp.judging.candidates import Candidates, candidates
from grasp.judging.contacts import FRICTION, Contacts, outward
from grasp.objects.object import Object
from grasp.objects.rays import Target
from grasp.scenes.collision import in_collision as contains_points

Collides = Callable[[Object, Gripper, np.ndarray], np.ndarray]
"""Tells of poses (n, 4, 4) whether the open gripper touches the object, (n,) bool."""


_PROPOSALS = 16  # of the baseline, times the grasps asked for


# Of contact areas: points along a side of the pad, metres to its plane, cosine of the angle to it.
_GRID = 5


_TOUCH = 0.002


_FACING = math.cos(math.radians(30))


@dataclass(frozen=True)
class Ranking:
    """How much each property of a grasp counts in its rank; each property is 0 to 1, 1 is best.

    The weights were chosen on procedural objects, one of each family.

    Attributes:
        alignment: of the line with the normals: 1 if perpendicular to both surfaces, 0 at the edge
            of a friction cone.
        area: the share of the pads that touches the object, of the finger that touches less.
        balance: 1 if the line goes through the object's centre, 0 if it passes that as far away as
            the object's farthest point, or farther.
        room: the share of the stroke that is left when the fingers touch.
    """

    alignment: float = 0.3
    area: float = 0.5
    balance: float = 0.1
    room: float = 0.1


def sample_antipodal(
    obj: Object,
    gripper: Gripper,
    count: int,
    rng: np.random.Generator,
    *,
    friction: float = FRICTION,
    ranking: Ranking | None = None,
    collides: Collides | None = None,
) -> Grasps:
    """What a user does without a network: sample, drop what collides, rank by contact geometry.

    Args:
        obj: the object.
        gripper: the gripper.
        count: how many grasps.
        rng: the source of randomness.
        friction: the coefficient that the friction cones are of.
        ranking: the weights of the ranking; `Ranking()` unless given.
        collides: the collision check; unless given, `grasp.physics.in_collision` for a mesh,
            and for a cloud whether one of its points is inside the gripper.

    Returns:
        Grasps, best ranked first, with the width of the contacts. Fewer than asked for, with the
        reason, if 16 times as many candidates hold no more without collision.

    Raises:
        InputError: an argument is out of its range.
    """
    check = collides or _in_collision
    kept: list[Candidates] = []
    proposed = free = 0
    while free < count and proposed < _PROPOSALS * count:
        block = candidates(obj, gripper, 2 * count, rng, friction=friction)
        if not len(block):
            break
        proposed += len(block)
        clear = np.flatnonzero(~check(obj, gripper, block.poses))[: count - free]
        kept.append(
            Candidates(
                block.poses[clear],
                block.kinds[clear],
                block.contacts.select(clear),
                block.depth[clear],
            )
        )
        free += len(clear)
    reason = None
    if not proposed:
        reason = (
            f"no two opposite contacts on {obj.name} within the {gripper.stroke:g} m that "
            f"{gripper.name} opens"
        )
    elif free < count:
        reason = f"only {free} of {proposed} antipodal candidates are free of collision"
    poses, width = np.empty((0, 4, 4)), np.empty(0)
    if free:
        contacts = Contacts(
            np.concatenate([each.contacts.points for each in kept]),
            np.concatenate([each.contacts.normals for each in kept]),
        )
        poses = np.concatenate([each.poses for each in kept])
        score = scores(obj, gripper, poses, contacts, friction, ranking or Ranking())
        order = np.argsort(-score, kind="stable")
        poses, width = poses[order], contacts.width[order]
    return Grasps(
        poses=poses,
        gripper=gripper.name,
        object_file=obj.file,
        object_scale=obj.scale,
        object_sha256=obj.sha256,
        width=width,
        in_collision=np.zeros(len(poses), bool),
        sampler={"name": "antipodal", "friction": friction, "proposed": proposed},
        tool_center_point=gripper.tool_center_point,
        reason=reason,
    )


def _in_collision(obj: Object, gripper: Gripper, poses: np.ndarray) -> np.ndarray:
    if not obj.is_mesh:
        return contains_points(poses, gripper, obj.vertices, tolerance=0.0)
    from grasp.physics import in_collision

    return in_collision(poses, gripper, obj)


def scores(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    contacts: Contacts,
    friction: float,
    ranking: Ranking,
) -> Float[np.ndarray, " grasps"]:
    """The weighted sum of the properties of `Ranking`; more is better.

    Args:
        obj: the object.
        gripper: the gripper.
        poses: the grasps.
        contacts: the pair of each.
        friction: the coefficient that the friction cones are of.
        ranking: the weights.
    """
    worst = contacts.angles.max(axis=1)
    lever = np.linalg.norm(np.cross(obj.centre - contacts.centre, contacts.axis), axis=1)
    farthest = np.linalg.norm(obj.vertices - obj.centre, axis=1).max()
    return (
        ranking.alignment * (1 - worst / math.atan(friction))
        + ranking.area * contact_area(obj, gripper, poses, contacts.width)
        + ranking.balance * (1 - np.minimum(lever / farthest, 1))
        + ranking.room * (1 - contacts.width / gripper.stroke)
    )


def contact_area(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    width: Float[np.ndarray, " grasps"],
) -> Float[np.ndarray, " grasps"]:
    """The share of the pads, closed to a width, that touches the object: the lesser of the two.

    Measured at a grid of points on each pad. One touches if the surface in front of it is within
    2 mm of the pad's plane and turned towards it within 30°; on a cloud, if such a point is near.

    Args:
        obj: the object.
        gripper: the gripper.
        poses: the grasps.
        width: the opening of each, metres.
    """
    begin, end = gripper.pad
    across = max(box.half_extents[1] for box in gripper.finger_boxes if _is_pad(box))
    middles = (np.arange(_GRID) + 0.5) / _GRID
    y, z = np.meshgrid(across * (2 * middles - 1), begin + (end - begin) * middles)
    on_surface = _faces_in_front(obj) if obj.is_mesh else _points_in_front(obj)
    shares = []
    for side in (1.0, -1.0):
        local = np.stack(np.broadcast_arrays(side * width[:, None] / 2, y.ravel(), z.ravel()), 2)
        places = np.einsum("nij,nkj->nki", poses[:, :3, :3], local) + poses[:, None, :3, 3]
        inward = np.repeat(-side * poses[:, None, :3, 0], _GRID**2, axis=1)
        touching = on_surface(places.reshape(-1, 3), inward.reshape(-1, 3))
        shares.append(touching.reshape(len(poses), -1).mean(axis=1))
    return np.minimum(*shares)


def _is_pad(box: Box) -> bool:
    """Whether a box of the closed finger reaches to x = 0."""
    return bool(box.centre[0] - box.half_extents[0] < 1e-6)


def _faces_in_front(obj: Object) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Tells of points of the pads and their directions inward whether a mesh is there."""
    assert obj.faces is not None and obj.sided is not None
    target, sided = Target(obj.vertices, obj.faces), obj.sided

    def touching(places: np.ndarray, inward: np.ndarray) -> np.ndarray:
        hits = target.first(places - _TOUCH * inward, inward)
        _, slope = outward(hits, sided, leaving=False)
        found = np.zeros(len(places), bool)
        found[hits.ray] = (-slope >= _FACING) & (hits.distance <= 2 * _TOUCH)
        return found

    return touching


def _points_in_front(obj: Object) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The same for a cloud, whose points stand for discs as large as they are far apart."""
    from scipy.spatial import cKDTree

    assert obj.normals is not None
    tree, normals = cKDTree(obj.vertices), obj.normals
    radius = 2 * float(np.median(tree.query(obj.vertices, 2)[0][:, 1]))

    def touching(places: np.ndarray, inward: np.ndarray) -> np.ndarray:
        nearest = tree.query(places)[1]
        apart = obj.vertices[nearest] - places
        ahead = np.einsum("ni,ni->n", apart, inward)
        aside = np.linalg.norm(apart - ahead[:, None] * inward, axis=1)
        facing = -np.einsum("ni,ni->n", normals[nearest], inward) >= _FACING
        return facing & (np.abs(ahead) <= _TOUCH) & (aside <= radius)

    return touching

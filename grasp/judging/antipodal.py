"""A baseline without a network: antipodal grasps, ranked by the geometry of their contacts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grasp.formats import Grasps
from grasp.grippers.gripper import Box, Gripper
from grasp.judging.candidates import Candidates, candidates
from grasp.judging.contacts import FRICTION, Contacts, outward_normals
from grasp.objects.object import Object
from grasp.objects.rays import Target
from grasp.scenes.collision import in_collision as contains_points
from pcdiff.errors import InputError

Collides = Callable[[Object, Gripper, np.ndarray], np.ndarray]
"""A function that tests whether the open gripper collides with the object at each pose.

The function takes an object, a gripper and poses `T_object_grasp`, (n, 4, 4), in metres. It returns
booleans, (n,), which are True for a collision.
"""

_MOST_CANDIDATES = 16  # largest number of candidates per requested grasp

# A grid of points on the pad measures the contact area.
_GRID = 5  # points along each side of the pad
_TOUCH = 0.002  # largest distance in metres between the pad's plane and a touching surface
_FACING = math.cos(math.radians(30))  # the surface must face the pad within this angle


@dataclass(frozen=True)
class Ranking:
    """Weights of the properties that rank a grasp. Each property ranges from 0 (worst) to 1 (best).

    The weights were chosen on procedural objects, one from each family.

    Attributes:
        alignment: Weight of the alignment. The alignment is 1 if the line between the contacts is
            perpendicular to both surfaces, and 0 if the line is at the edge of a friction cone.
        area: Weight of the contact area, which is the share of the pad that touches the object. The
            finger with the smaller share counts.
        balance: Weight of the balance. The balance is 1 if the line between the contacts goes
            through the object's centre. It is 0 if the line is at least as far from the centre as
            the object's farthest point.
        room: Weight of the share of the stroke that remains when the fingers touch the object.
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
    """Sample antipodal grasps, drop colliding grasps, and rank the rest by contact geometry.

    Args:
        obj: The object.
        gripper: The gripper.
        count: Number of grasps.
        rng: Random generator.
        friction: Coefficient of friction that defines the friction cones.
        ranking: Weights of the ranking. None means `Ranking()`.
        collides: Collision test. None means `grasp.physics.in_collision` for a mesh, and for a
            point cloud a test whether a point of the cloud lies inside the gripper.

    Returns:
        Grasps, best ranked first. The width of a grasp is the distance between its contacts. The
        search ends after 16 candidates per requested grasp. If too few candidates are then free of
        collision, there are fewer than `count` grasps, and `reason` states the cause.

    Raises:
        InputError: If `count` is below 1, or `friction` is not above 0 and finite.
    """
    if count < 1:
        raise InputError(f"the number of grasps must be at least 1, got {count}")
    check = collides or _in_collision
    kept: list[Candidates] = []
    proposed = free = 0
    while free < count and proposed < _MOST_CANDIDATES * count:
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
            f"{obj.name} has no two opposite contacts within {gripper.stroke:g} m, the stroke of "
            f"{gripper.name}"
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
    """Compute the score of each grasp, the weighted sum of the properties in `Ranking`.

    A higher score means a better grasp.

    Args:
        obj: The object.
        gripper: The gripper.
        poses: `T_object_grasp` of each grasp in metres.
        contacts: Pair of contacts of each grasp.
        friction: Coefficient of friction that defines the friction cones.
        ranking: Weights of the properties.
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
    """Compute the share of each pad that touches the object, and return the smaller share.

    The share is measured on a grid of points on each pad. A grid point touches a mesh if the
    surface in front of the grid point is within 2 mm of the pad's plane and faces the pad within
    30°. On a point cloud, the nearest cloud point must meet these conditions, and its distance
    along the pad must be at most twice the typical spacing of the cloud points.

    Args:
        obj: The object.
        gripper: The gripper.
        poses: `T_object_grasp` of each grasp in metres.
        width: Opening of the gripper at each grasp in metres.
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
    """Test whether a box of the closed finger is a pad. A pad extends to x = 0."""
    return bool(box.centre[0] - box.half_extents[0] < 1e-6)


def _faces_in_front(obj: Object) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function that computes which points on the pads touch a mesh.

    The function takes the points in metres and, for each point, the inward unit normal of its pad.
    """
    assert obj.faces is not None and obj.sided is not None
    target, sided = Target(obj.vertices, obj.faces), obj.sided

    def touching(places: np.ndarray, inward: np.ndarray) -> np.ndarray:
        hits = target.first(places - _TOUCH * inward, inward)
        _, slope = outward_normals(hits, sided, leaving=False)
        found = np.zeros(len(places), bool)
        found[hits.ray] = (-slope >= _FACING) & (hits.distance <= 2 * _TOUCH)
        return found

    return touching


def _points_in_front(obj: Object) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function that computes which points on the pads touch a cloud.

    Each point of the cloud represents a disc. The disc's radius is twice the typical distance
    between neighbouring points.
    """
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

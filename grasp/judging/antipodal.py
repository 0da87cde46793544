"""Antipodal grasps: candidates to be labelled in physics, and the baseline that needs no network.

A pair of contacts is *antipodal* when the line between them lies in the friction cones of both: two
fingers that press along it can then hold the object whatever force acts on it in their plane
(Nguyen, "Constructing force-closure grasps", 1988, theorem 3). Pairs are found by chords through
the object: from a random point of the surface into the object, within the friction cone, to where
the chord comes out again.

Poses are `T_object_grasp` in metres: +z the approach, +x the closing direction, which is the chord.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from grasp.formats import Grasps
from grasp.grippers.gripper import Box, Gripper
from grasp.objects.objects import Object
from grasp.objects.rays import Hits, Target
from grasp.scenes.collision import in_collision as contains_points
from pcdiff.errors import InputError

FRICTION = 0.5
"""The coefficient that the friction cones are of, unless another is given."""

ANTIPODAL, RIM, NEAR_MISS = KINDS = ("antipodal", "rim", "near miss")
"""The kinds of candidates.

- antipodal: the fingers close on the object as a whole, or on a thick part of it.
- rim: on what is thin for the object, less than a quarter of its `thickness`: on the wall of a
  vessel, at its rim, or on a handle.
- near miss: one of the others, moved and turned a little.
"""

Collides = Callable[[Object, Gripper, np.ndarray], np.ndarray]
"""Tells of poses (n, 4, 4) whether the open gripper touches the object, (n,) bool."""

# Metres. A crossing nearer to the chord's begin than this is that begin; walls are thicker.
_THINNEST = 2e-4

_LINES = 4096  # chords at a time
_ROUNDS = 16  # of chords, before there is taken to be no pair
_CLOUD_POINTS = 1024  # of a cloud, among which pairs are looked for

# Of candidates; see there. Shares, and the spreads of near misses in metres and radians.
_CHOICE = 4  # proposals for each candidate
_CLEAR = 0.5
_LEAST_OF_A_KIND = 0.3
_THIN = 0.25
_DEEP = 0.25
_MISS_TRANSLATION, _MISS_ROTATION, _MISS_LEAST = 0.02, 0.5, 0.2
_SURFACE_POINTS = 512  # by which proposals are told to be clear

_PROPOSALS = 16  # of the baseline, times the grasps asked for

# Of contact areas: points along a side of the pad, metres to its plane, cosine of the angle to it.
_GRID = 5
_TOUCH = 0.002
_FACING = math.cos(math.radians(30))


# --- Contacts -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of opposite points on an object's surface.

    Attributes:
        points: of each pair, metres.
        normals: outward and of length 1.
    """

    points: Float[np.ndarray, "pairs 2 3"]
    normals: Float[np.ndarray, "pairs 2 3"]

    def __len__(self) -> int:
        return len(self.points)

    def select(self, index: Shaped[np.ndarray, " chosen"]) -> Contacts:
        """The pairs at these places, or where this mask is true."""
        return Contacts(self.points[index], self.normals[index])

    @property
    def width(self) -> Float[np.ndarray, " pairs"]:
        """Between the two contacts, metres."""
        return np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1)

    @property
    def centre(self) -> Float[np.ndarray, "pairs 3"]:
        """The middle between the contacts."""
        return self.points.mean(axis=1)

    @property
    def axis(self) -> Float[np.ndarray, "pairs 3"]:
        """The unit vector from the first contact to the second."""
        return (self.points[:, 1] - self.points[:, 0]) / self.width[:, None]

    @property
    def angles(self) -> Float[np.ndarray, "pairs 2"]:
        """Between the line and the surface's normal at each contact, radians."""
        cosines = np.einsum("nki,ni->nk", self.normals, self.axis) * [-1, 1]
        return np.arccos(np.clip(cosines, -1, 1))


def antipodal_contacts(
    obj: Object,
    stroke: float,
    count: int,
    rng: np.random.Generator,
    friction: float = FRICTION,
) -> Contacts:
    """Random antipodal pairs no farther apart than a gripper opens.

    On a mesh the first contact is uniform on the surface and the line uniform in its friction cone;
    of several places where the line comes out within the stroke and within the friction cone
    there, one is drawn. The mesh need not be closed; where a face's outside is not known
    (`Object.sided`), both of its sides count as outside. On a cloud pairs are drawn among the
    points themselves.

    Args:
        obj: the object.
        stroke: the gripper's, metres.
        count: how many pairs at most.
        rng: the source of randomness.
        friction: the coefficient; the half-angle of the cones is its arc tangent.

    Returns:
        Fewer pairs than asked for, down to none, where they are rare.

    Raises:
        InputError: an argument is out of its range.
    """
    _check(count, friction)
    half_angle = math.atan(friction)
    draw = _chords(obj, stroke, half_angle) if obj.is_mesh else _pairs(obj, stroke, half_angle)
    found: list[Contacts] = []
    total = 0
    for _ in range(_ROUNDS * max(1, math.ceil(count / _LINES))):
        found.append(draw(rng))
        total += len(found[-1])
        if total >= count:
            break
    return Contacts(
        np.concatenate([each.points for each in found])[:count],
        np.concatenate([each.normals for each in found])[:count],
    )


def _chords(
    obj: Object, stroke: float, half_angle: float
) -> Callable[[np.random.Generator], Contacts]:
    """Draws pairs of a mesh by casting rays."""
    assert obj.faces is not None and obj.sided is not None
    target, sided = Target(obj.vertices, obj.faces), obj.sided

    def draw(rng: np.random.Generator) -> Contacts:
        points, face = obj.surface_faces(_LINES, rng)
        normals = obj.face_normals[face]
        if not sided.all():
            either = rng.choice([-1.0, 1.0], _LINES)
            normals = normals * np.where(sided[face], 1, either)[:, None]
        lines = _in_cone(-normals, half_angle, rng)
        hits = target.all(points, lines)
        exits, slope = outward(hits, sided, leaving=True)
        partner = (hits.distance > _THINNEST) & (hits.distance <= stroke)
        place = _one_of_each(hits.ray, partner & (slope >= math.cos(half_angle)), rng)
        line, distance = hits.ray[place], hits.distance[place]
        ends = points[line], points[line] + distance[:, None] * lines[line]
        return Contacts(np.stack(ends, axis=1), np.stack([normals[line], exits[place]], axis=1))

    return draw


def outward(
    hits: Hits, sided: Bool[np.ndarray, " faces"], leaving: bool
) -> tuple[Float[np.ndarray, "hits 3"], Float[np.ndarray, " hits"]]:
    """Outward normals where rays cross a mesh, and their products with the rays' directions.

    Of a face both of whose sides may be touched, the side that suits the ray counts as outside.

    Args:
        hits: the crossings.
        sided: for each face whether only its front is outside, as in `Object.sided`.
        leaving: whether the rays should leave the object there, or else enter it.
    """
    wanted = 1 if leaving else -1
    turned = ~sided[hits.face] & (wanted * hits.slope < 0)
    sign = np.where(turned, -1, 1)
    return hits.normal * sign[:, None], hits.slope * sign


def _pairs(
    obj: Object, stroke: float, half_angle: float
) -> Callable[[np.random.Generator], Contacts]:
    """Draws pairs of a cloud among some of its points."""
    from scipy.spatial.distance import cdist

    def draw(rng: np.random.Generator) -> Contacts:
        points, normals = obj.surface(min(_CLOUD_POINTS, len(obj.vertices)), rng)
        distance = cdist(points, points)
        # n_j·(p_j − p_i), how far the normal at j points away from i; relative to the centre, so
        # that a far origin costs no digits.
        heights = (points - obj.centre) @ normals.T
        away = heights.diagonal() - heights
        least = math.cos(half_angle) * distance
        near = (distance > _THINNEST) & (distance <= stroke)
        near &= np.minimum(away, away.T) >= least
        first, second = np.nonzero(near)
        place = _one_of_each(first, np.ones(len(first), bool), rng)
        both = rng.permutation(np.stack([first[place], second[place]], axis=1))
        return Contacts(points[both], normals[both])

    return draw


def _one_of_each(
    group: Int[np.ndarray, " n"], allowed: Bool[np.ndarray, " n"], rng: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """For each group with something allowed, the place of one of these at random."""
    places = rng.permutation(np.flatnonzero(allowed))
    return places[np.unique(group[places], return_index=True)[1]]


def _in_cone(
    axes: Float[np.ndarray, "n 3"], half_angle: float, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Unit vectors uniform by solid angle in cones around unit vectors."""
    cosine = rng.uniform(math.cos(half_angle), 1, len(axes))
    angle = rng.uniform(-math.pi, math.pi, len(axes))
    x, y = _perpendicular(axes)
    sine = np.sqrt(1 - cosine**2)
    return (
        cosine[:, None] * axes
        + (sine * np.cos(angle))[:, None] * x
        + (sine * np.sin(angle))[:, None] * y
    )


def _perpendicular(
    axes: Float[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Two unit vectors that make a right-handed frame with each unit vector as its third."""
    helper = np.eye(3)[np.abs(axes).argmin(axis=1)]
    x = np.cross(helper, axes)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, np.cross(axes, x)


# --- Candidates -----------------------------------------------------------------------------------


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
    x, y = _perpendicular(closing)
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


# --- The baseline ---------------------------------------------------------------------------------


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

    return in_collision(obj, gripper, poses)


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


def _check(count: int, friction: float) -> None:
    if count < 1:
        raise InputError(f"the number of grasps must be at least 1, got {count}")
    if not 0 < friction < math.inf:
        raise InputError(f"friction must be above 0 and finite, got {friction}")

"""Antipodal contacts: pairs of places that two fingers can hold an object by.

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

from grasp.objects.object import Object
from grasp.objects.rays import Hits, Target
from pcdiff.errors import InputError

FRICTION = 0.5
"""The coefficient that the friction cones are of, unless another is given."""


# Metres. A crossing nearer to the chord's begin than this is that begin; walls are thicker.
_THINNEST = 2e-4


_LINES = 4096  # chords at a time


_ROUNDS = 16  # of chords, before there is taken to be no pair


_CLOUD_POINTS = 1024  # of a cloud, among which pairs are looked for


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
    x, y = perpendicular(axes)
    sine = np.sqrt(1 - cosine**2)
    return (
        cosine[:, None] * axes
        + (sine * np.cos(angle))[:, None] * x
        + (sine * np.sin(angle))[:, None] * y
    )


def perpendicular(
    axes: Float[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Two unit vectors that make a right-handed frame with each unit vector as its third."""
    helper = np.eye(3)[np.abs(axes).argmin(axis=1)]
    x = np.cross(helper, axes)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, np.cross(axes, x)


def _check(count: int, friction: float) -> None:
    if count < 1:
        raise InputError(f"the number of grasps must be at least 1, got {count}")
    if not 0 < friction < math.inf:
        raise InputError(f"friction must be above 0 and finite, got {friction}")


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

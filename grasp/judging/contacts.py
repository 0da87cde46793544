"""Antipodal contacts: pairs of surface points where two fingers can grip an object.

A pair of contacts is *antipodal* if the line between the contacts lies in both friction cones. Two
fingers that press along this line can then resist any force in their plane (Nguyen, "Constructing
force-closure grasps", 1988, theorem 3). Pairs are found as chords of the object: each chord starts
at a random point of the surface, enters the object within the friction cone, and ends where it
leaves the object again.
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
"""Default coefficient of friction that defines the friction cones."""

# A ray may hit its own starting face. So hits within this distance in metres are ignored, and walls
# are assumed to be thicker.
_THINNEST = 2e-4

_CHORDS = 4096  # chords per round
_ROUNDS = 16  # rounds per 4096 requested pairs before the search stops
_CLOUD_POINTS = 1024  # number of cloud points in one search for pairs


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of opposite points on an object's surface, in the object's frame.

    Attributes:
        points: The two points of each pair in metres.
        normals: Outward unit normals of the surface at the points.
    """

    points: Float[np.ndarray, "pairs 2 3"]
    normals: Float[np.ndarray, "pairs 2 3"]

    def __len__(self) -> int:
        return len(self.points)

    def select(self, index: Shaped[np.ndarray, " chosen"]) -> Contacts:
        """Return the selected pairs.

        Args:
            index: Integer indices of pairs, or a boolean mask.
        """
        return Contacts(self.points[index], self.normals[index])

    @property
    def width(self) -> Float[np.ndarray, " pairs"]:
        """Distance between the two contacts in metres."""
        return np.linalg.norm(self.points[:, 1] - self.points[:, 0], axis=1)

    @property
    def centre(self) -> Float[np.ndarray, "pairs 3"]:
        """Midpoint of the two contacts in metres."""
        return self.points.mean(axis=1)

    @property
    def axis(self) -> Float[np.ndarray, "pairs 3"]:
        """Unit vector from the first contact to the second."""
        return (self.points[:, 1] - self.points[:, 0]) / self.width[:, None]

    @property
    def angles(self) -> Float[np.ndarray, "pairs 2"]:
        """Angle in radians between the contact line and the surface normal at each contact."""
        cosines = np.einsum("nki,ni->nk", self.normals, self.axis) * [-1, 1]
        return np.arccos(np.clip(cosines, -1, 1))


def antipodal_contacts(
    obj: Object,
    stroke: float,
    count: int,
    rng: np.random.Generator,
    friction: float = FRICTION,
) -> Contacts:
    """Draw random antipodal pairs of contacts within the stroke of a gripper.

    On a mesh, the first contact is uniform on the surface, and the contact line is uniform in the
    friction cone of the first contact. The second contact is drawn from the points where the line
    leaves the object within the stroke and within the local friction cone. The mesh may be open: if
    the outside of a face is unknown (`Object.sided`), both sides of the face count as outside. On a
    point cloud, both contacts are points of the cloud.

    Args:
        obj: The object.
        stroke: Largest opening of the gripper in metres.
        count: Number of pairs to draw.
        rng: Random generator.
        friction: Coefficient of friction. Its arc tangent is the half-angle of the friction cones.

    Returns:
        At most `count` pairs. If antipodal pairs are rare, there are fewer pairs or none.

    Raises:
        InputError: If `count` is below 1, or `friction` is not above 0 and finite.
    """
    _check_arguments(count, friction)
    half_angle = math.atan(friction)
    draw = _chords(obj, stroke, half_angle) if obj.is_mesh else _pairs(obj, stroke, half_angle)
    found: list[Contacts] = []
    total = 0
    for _ in range(_ROUNDS * max(1, math.ceil(count / _CHORDS))):
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
    """Return a function that draws one round of pairs on a mesh by casting rays."""
    assert obj.faces is not None and obj.sided is not None
    target, sided = Target(obj.vertices, obj.faces), obj.sided

    def draw(rng: np.random.Generator) -> Contacts:
        points, face = obj.surface_faces(_CHORDS, rng)
        normals = obj.face_normals[face]
        if not sided.all():
            either = rng.choice([-1.0, 1.0], _CHORDS)
            normals = normals * np.where(sided[face], 1, either)[:, None]
        lines = _in_cone(-normals, half_angle, rng)
        hits = target.all(points, lines)
        exits, slope = outward_normals(hits, sided, leaving=True)
        partner = (hits.distance > _THINNEST) & (hits.distance <= stroke)
        place = _one_per_group(hits.ray, partner & (slope >= math.cos(half_angle)), rng)
        line, distance = hits.ray[place], hits.distance[place]
        ends = points[line], points[line] + distance[:, None] * lines[line]
        return Contacts(np.stack(ends, axis=1), np.stack([normals[line], exits[place]], axis=1))

    return draw


def _pairs(
    obj: Object, stroke: float, half_angle: float
) -> Callable[[np.random.Generator], Contacts]:
    """Return a function that draws one round of pairs from random points of a cloud."""
    from scipy.spatial.distance import cdist

    def draw(rng: np.random.Generator) -> Contacts:
        points, normals = obj.surface(min(_CLOUD_POINTS, len(obj.vertices)), rng)
        distance = cdist(points, points)
        # n_j·(p_j − p_i) is the component of p_j − p_i along the surface normal at j. Positions
        # relative to the centre keep all digits even if the origin is far away.
        heights = (points - obj.centre) @ normals.T
        away = heights.diagonal() - heights
        least = math.cos(half_angle) * distance
        near = (distance > _THINNEST) & (distance <= stroke)
        near &= np.minimum(away, away.T) >= least
        first, second = np.nonzero(near)
        place = _one_per_group(first, np.ones(len(first), bool), rng)
        both = rng.permutation(np.stack([first[place], second[place]], axis=1))
        return Contacts(points[both], normals[both])

    return draw


def _one_per_group(
    group: Int[np.ndarray, " n"], allowed: Bool[np.ndarray, " n"], rng: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """Choose the index of one random element per group, among the allowed elements only."""
    places = rng.permutation(np.flatnonzero(allowed))
    return places[np.unique(group[places], return_index=True)[1]]


def _in_cone(
    axes: Float[np.ndarray, "n 3"], half_angle: float, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Draw one unit vector in the cone around each axis, uniform by solid angle."""
    cosine = rng.uniform(math.cos(half_angle), 1, len(axes))
    angle = rng.uniform(-math.pi, math.pi, len(axes))
    x, y = complete_frames(axes)
    sine = np.sqrt(1 - cosine**2)
    return (
        cosine[:, None] * axes
        + (sine * np.cos(angle))[:, None] * x
        + (sine * np.sin(angle))[:, None] * y
    )


def complete_frames(
    axes: Float[np.ndarray, "n 3"],
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Complete unit vectors to right-handed frames.

    Args:
        axes: Unit vectors, the third axis of each frame.

    Returns:
        The first and the second axis of each frame.
    """
    helper = np.eye(3)[np.abs(axes).argmin(axis=1)]
    x = np.cross(helper, axes)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, np.cross(axes, x)


def _check_arguments(count: int, friction: float) -> None:
    """Raise `InputError` if an argument of `antipodal_contacts` is out of range."""
    if count < 1:
        raise InputError(f"the number of grasps must be at least 1, got {count}")
    if not 0 < friction < math.inf:
        raise InputError(f"the coefficient of friction must be above 0 and finite, got {friction}")


def outward_normals(
    hits: Hits, sided: Bool[np.ndarray, " faces"], leaving: bool
) -> tuple[Float[np.ndarray, "hits 3"], Float[np.ndarray, " hits"]]:
    """Compute the outward surface normals where rays cross a mesh.

    If the outside of a face is unknown, the normal is chosen so that the ray crosses the face in
    the expected direction.

    Args:
        hits: Crossings of the rays and the mesh.
        sided: True for each face with a known outside, which is its front; see `Object.sided`.
        leaving: True if the rays should leave the object at the crossings, and False if they should
            enter the object.

    Returns:
        Outward unit normals, and the scalar product of each normal with the direction of its ray.
    """
    wanted = 1 if leaving else -1
    turned = ~sided[hits.face] & (wanted * hits.slope < 0)
    sign = np.where(turned, -1, 1)
    return hits.normal * sign[:, None], hits.slope * sign

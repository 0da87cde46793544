"""From where it is seen, and under which light. Angles are in degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians, sqrt, tan

import numpy as np
from jaxtyping import Float

from pcdiff.drawing.parts import Part, Vector, part_points, part_radius
from pcdiff.errors import InputError

THREE_QUARTER_VIEW: Vector = (-0.6, 0.5, 1.0)
"""From a y-up object towards the camera: its front, from a little aside and above."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Args:
        position: The pinhole.
        target: A point that is seen in the middle of the picture.
        up: What is upright in the picture; also the normal of the ground.
        field_of_view: The vertical opening angle, degrees, in (0, 180).

    Raises:
        InputError: The numbers define no view.
    """

    position: Vector
    target: Vector
    up: Vector = (0.0, 1.0, 0.0)
    field_of_view: float = 20.0

    def __post_init__(self) -> None:
        _check_field_of_view(self.field_of_view)
        _camera_axes(np.subtract(self.position, self.target), self.up)

    @property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Unit vectors, a row each: to the right, upwards in the picture, towards the viewer."""
        return _camera_axes(np.subtract(self.position, self.target), self.up)


@dataclass(frozen=True)
class Light:
    """A round lamp, which casts shadows with soft edges, under a white sky.

    A white surface that receives 1 is drawn white.

    Args:
        azimuth: Of the lamp, degrees to the right of the camera as the object's viewer sees it.
        elevation: Of the lamp above the ground, degrees.
        spread: Half the angle under which the lamp is seen, degrees; wider is softer.
        lamp: What a surface that faces the lamp receives from it.
        sky: What a surface with the sky's zenith all around would receive.
        floor: The brightness of what is below the horizon, relative to the zenith.
    """

    azimuth: float = -35.0
    elevation: float = 68.0
    spread: float = 14.0
    lamp: float = 0.6
    sky: float = 0.6
    floor: float = 0.5


def frame(
    parts: Sequence[Part],
    direction: Vector = THREE_QUARTER_VIEW,
    *,
    up: Vector = (0.0, 1.0, 0.0),
    field_of_view: float = 20.0,
    aspect: float = 1.0,
    margin: float = 0.07,
) -> Camera:
    """The nearest camera on the given side that sees all of the parts, in the middle.

    In camera axes, with t the tangent of half the opening angle, a camera at (c, d) sees the point
    (x, z) when |x - c| <= (d - z) t. For all points at once, this is max(x + z t) <= c + d t and
    max(-x + z t) <= -c + d t: half the difference of the two is the middle c, half their sum is the
    least d t. A sphere of radius r adds r sqrt(1 + t^2) to either.

    Args:
        parts: What is to be seen, at least one.
        direction: From the parts to the camera, of any length.
        up: What is upright in the picture.
        field_of_view: The vertical opening angle, degrees.
        aspect: The picture's width over its height.
        margin: The share of the picture that stays free on each side, in [0, 0.5).

    Returns:
        The camera.

    Raises:
        InputError: No parts, a margin or an aspect out of range, or no view (see `Camera`).
    """
    if not parts:
        raise InputError("a picture needs at least one part to draw, got none")
    if not (0 <= margin < 0.5 and 0 < aspect < np.inf):
        raise InputError(
            "a picture needs a margin in [0, 0.5) and a positive aspect, "
            f"got a margin of {margin} and an aspect of {aspect}"
        )
    _check_field_of_view(field_of_view)
    axes = _camera_axes(np.asarray(direction, dtype=np.float64), up)
    points = np.concatenate([part_points(part) for part in parts]) @ axes.T
    radii = np.concatenate([np.full(len(part_points(part)), part_radius(part)) for part in parts])
    half_height = tan(radians(field_of_view) / 2) * (1 - 2 * margin)
    middle, depth = points.mean(axis=0), -np.inf
    for axis, slope in ((0, half_height * aspect), (1, half_height)):
        outline = points[:, 2] * slope + radii * sqrt(1 + slope**2)
        after, before = np.max(outline + points[:, axis]), np.max(outline - points[:, axis])
        middle[axis] = (after - before) / 2
        depth = max(depth, (after + before) / (2 * slope))
    position = np.array([middle[0], middle[1], depth])
    x, y, z = (position @ axes).tolist()
    u, v, w = (middle @ axes).tolist()
    return Camera((x, y, z), (u, v, w), up, field_of_view)


def _check_field_of_view(angle: float) -> None:
    if not 0 < angle < 180:
        raise InputError(f"a camera's field of view must be between 0 and 180 degrees, got {angle}")


def _camera_axes(backward: np.ndarray, up: Vector) -> Float[np.ndarray, "3 3"]:
    """Orthonormal rows: right, upward, backward."""
    right = np.cross(up, backward)
    sizes = np.linalg.norm(up) * np.linalg.norm(backward)
    if not np.linalg.norm(right) > 1e-6 * sizes:
        raise InputError(
            "a camera must look at a point other than its own, not along its upward direction, "
            f"got the view {tuple(-backward)} with {up} up"
        )
    right = right / np.linalg.norm(right)
    backward = backward / np.linalg.norm(backward)
    return np.stack([right, np.cross(backward, right), backward])

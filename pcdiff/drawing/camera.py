"""The camera and the light of a picture. Angles are in degrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians, sqrt, tan

import numpy as np
from jaxtyping import Float

from pcdiff.drawing.parts import Part, Vector, part_points, part_radius
from pcdiff.errors import InputError

THREE_QUARTER_VIEW: Vector = (-0.6, 0.5, 1.0)
"""Direction from a y-up shape to a camera in front of it, slightly to one side and above."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        position: Position of the pinhole.
        target: Point in the middle of the picture.
        up: Direction that points upwards in the picture and is perpendicular to the ground.
        field_of_view: Vertical opening angle in degrees, in (0, 180).

    Raises:
        InputError: If the angle is out of range, the position equals the target, or the viewing
            direction is parallel to `up`.
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
        """Unit vectors as rows: rightwards in the picture, upwards, and towards the viewer."""
        return _camera_axes(np.subtract(self.position, self.target), self.up)


@dataclass(frozen=True)
class Light:
    """A round lamp with soft shadows, and a white sky.

    Amounts of light are relative: a white surface that receives the amount 1 is drawn white.

    Attributes:
        azimuth: Horizontal direction of the lamp in degrees, from the direction of the camera (0)
            towards the right side of the picture (90).
        elevation: Angle of the lamp above the ground in degrees.
        spread: Half the apparent diameter of the lamp in degrees; larger lamps make softer shadows.
        lamp: Amount of lamp light on a surface that faces the lamp.
        sky: Amount of light on a surface under a sky that is as bright as the zenith everywhere.
        floor: Brightness straight below, relative to the brightness of the zenith.
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
    """Find the nearest camera that shows all parts completely, centred in the picture.

    Let t be the tangent of half the opening angle. In camera axes, a camera at (c, d) sees the
    point (x, z) if |x − c| ≤ (d − z) t. The camera sees all points if max(x + z t) ≤ c + d t and
    max(−x + z t) ≤ −c + d t. Half the difference of the two maxima is the centre c, and half the
    sum of the two maxima is the smallest d t. A sphere of radius r adds r √(1 + t²) to both maxima.

    Args:
        parts: Parts to draw, at least one.
        direction: Direction from the parts to the camera, of any length.
        up: Direction that points upwards in the picture.
        field_of_view: Vertical opening angle in degrees.
        aspect: Width of the picture divided by its height.
        margin: Fraction of the picture that stays empty on each side, in [0, 0.5).

    Returns:
        The camera.

    Raises:
        InputError: If there are no parts, or the margin or the aspect is out of range; also for the
            reasons listed in `Camera`.
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
    """Return the orthonormal axes of a camera as rows: right, upward, backward."""
    right = np.cross(up, backward)
    sizes = np.linalg.norm(up) * np.linalg.norm(backward)
    if not np.linalg.norm(right) > 1e-6 * sizes:
        raise InputError(
            "the viewing direction of a camera must not be zero or parallel to its upward "
            f"direction {up}, got {tuple(-backward)}"
        )
    right = right / np.linalg.norm(right)
    backward = backward / np.linalg.norm(backward)
    return np.stack([right, np.cross(backward, right), backward])

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
"""Direction from a y-up object to the camera: in front, slightly to one side and above."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        position: Position of the pinhole.
        target: Point in the middle of the picture.
        up: Direction that points upwards in the picture; also the normal of the ground.
        field_of_view: Vertical opening angle in degrees, in (0, 180).

    Raises:
        InputError: If the angle is out of range, or the camera looks at its own position or along
            its upward direction.
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
        """Unit vectors as rows: to the right, upwards in the picture, towards the viewer."""
        return _camera_axes(np.subtract(self.position, self.target), self.up)


@dataclass(frozen=True)
class Light:
    """A round lamp, which casts soft shadows, under a white sky.

    A white surface that receives an amount of light of 1 is drawn white.

    Attributes:
        azimuth: Direction of the lamp in degrees, to the right of the camera as seen by the viewer.
        elevation: Height of the lamp above the ground in degrees.
        spread: Half the apparent size of the lamp in degrees; larger lamps make softer shadows.
        lamp: Light that a surface receives from the lamp when it faces it.
        sky: Light that a surface would receive if the whole sky were as bright as the zenith.
        floor: Brightness below the horizon, relative to the zenith.
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
    """Find the nearest camera in a direction that shows all parts, centred in the picture.

    In camera axes, with t the tangent of half the opening angle, a camera at (c, d) sees the point
    (x, z) if |x − c| ≤ (d − z) t. For all points this means max(x + z t) ≤ c + d t and
    max(−x + z t) ≤ −c + d t. Half the difference of the two maxima is the centre c, and half their
    sum is the smallest d t. A sphere of radius r adds r √(1 + t²) to both.

    Args:
        parts: Parts to show, at least one.
        direction: Direction from the parts to the camera, of any length.
        up: Direction that points upwards in the picture.
        field_of_view: Vertical opening angle in degrees.
        aspect: Width of the picture divided by its height.
        margin: Share of the picture that stays free on each side, in [0, 0.5).

    Returns:
        The camera.

    Raises:
        InputError: If there are no parts, or the margin or the aspect is out of range; also for the
            reasons given in `Camera`.
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
            "a camera must not look at its own position or along its upward direction, "
            f"got the viewing direction {tuple(-backward)} with {up} up"
        )
    right = right / np.linalg.norm(right)
    backward = backward / np.linalg.norm(backward)
    return np.stack([right, np.cross(backward, right), backward])

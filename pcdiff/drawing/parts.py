"""The parts of a picture: spheres and meshes with their colours.

All parts of a picture have one common unit of length. Colours are sRGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from pcdiff.errors import InputError

Image: TypeAlias = UInt8[np.ndarray, "height width 3"]
"""A picture in sRGB, with values from 0 to 255."""

Vector: TypeAlias = tuple[float, float, float]

Colour: TypeAlias = np.ndarray | Vector

TINT: Vector = (0.40, 0.60, 0.80)
"""Default colour of a part, a muted blue."""


@dataclass(frozen=True, eq=False)
class Spheres:
    """Spheres of equal radius, which represent the points of a cloud.

    Attributes:
        centres: Centres of the spheres, `(n, 3)` with n ≥ 1.
        radius: Radius of the spheres, greater than 0.
        colour: One sRGB colour `(3,)` for all spheres, or one colour per sphere `(n, 3)`, in
            [0, 1].

    Raises:
        InputError: If an array has a wrong shape, a number is not finite, or the radius or a colour
            is out of range.
    """

    centres: np.ndarray
    radius: float
    colour: Colour = TINT

    def __post_init__(self) -> None:
        check_points(self.centres, "the centres of spheres")
        _check_colour(self.colour, len(self.centres), "spheres")
        if not (isfinite(self.radius) and self.radius > 0):
            raise InputError(
                f"the radius of spheres must be a positive finite number, got {self.radius}"
            )


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh with flat shading, visible from both sides.

    Attributes:
        vertices: Vertices of the mesh, `(v, 3)` with v ≥ 1.
        faces: Triangles as integer indices of vertices, `(f, 3)` with f ≥ 1.
        colour: One sRGB colour `(3,)` for all faces, or one colour per face `(f, 3)`, in [0, 1].

    Raises:
        InputError: If an array has a wrong shape, a number is not finite, or an index or a colour
            is out of range.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colour: Colour = TINT

    def __post_init__(self) -> None:
        check_points(self.vertices, "the vertices of a mesh")
        shape, kind = self.faces.shape, self.faces.dtype
        if len(shape) != 2 or shape[1] != 3 or shape[0] == 0 or kind.kind not in "iu":
            raise InputError(
                "the faces of a mesh must be integers of shape (f, 3) with f >= 1, "
                f"got {kind} of shape {shape}"
            )
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise InputError(
                f"the faces of a mesh must be indices of its {len(self.vertices)} vertices, "
                f"got indices from {self.faces.min()} to {self.faces.max()}"
            )
        _check_colour(self.colour, len(self.faces), "a mesh")


Part: TypeAlias = Spheres | Mesh


def part_points(part: Part) -> np.ndarray:
    """The vertices of a mesh or the centres of spheres, `(n, 3)`."""
    return part.vertices if isinstance(part, Mesh) else part.centres


def part_radius(part: Part) -> float:
    """The radius of spheres, or 0 for a mesh."""
    return 0.0 if isinstance(part, Mesh) else part.radius


def check_points(points: np.ndarray, name: str) -> None:
    """Check that an array contains at least one point and only finite numbers.

    Args:
        points: The array to check.
        name: Name of the array in the error message, in the plural.

    Raises:
        InputError: If the array does not have the shape `(n, 3)` with n ≥ 1, or an entry is not a
            finite number.
    """
    if (
        points.ndim != 2
        or points.shape[1] != 3
        or len(points) == 0
        or points.dtype.kind not in "fiu"
    ):
        raise InputError(
            f"{name} must be numbers of shape (n, 3) with n >= 1, "
            f"got {points.dtype} of shape {points.shape}"
        )
    if not np.isfinite(points).all():
        raise InputError(f"{name} must be finite, got a NaN or an infinity")


def _check_colour(colour: Colour, count: int, name: str) -> None:
    values = np.asarray(colour)
    if values.shape not in ((3,), (count, 3)):
        raise InputError(
            f"the colour of {name} must have the shape (3,) or ({count}, 3), got {values.shape}"
        )
    if not np.all((values >= 0) & (values <= 1)):
        raise InputError(
            f"the colour of {name} must be sRGB in [0, 1], "
            f"got values from {values.min()} to {values.max()}"
        )

"""What is drawn: spheres and meshes, and their colours.

Lengths are in the unit of the parts; colours are sRGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

import numpy as np
from jaxtyping import UInt8

from pcdiff.errors import InputError

Image: TypeAlias = UInt8[np.ndarray, "height width 3"]


Vector: TypeAlias = tuple[float, float, float]


Colour: TypeAlias = np.ndarray | Vector


TINT: Vector = (0.40, 0.60, 0.80)
"""The sober blue of a part that is given no colour."""


@dataclass(frozen=True, eq=False)
class Spheres:
    """Equal spheres: the way a point cloud is drawn.

    Args:
        centres: `(n, 3)`, n >= 1.
        radius: Positive.
        colour: One sRGB colour `(3,)`, or one a sphere `(n, 3)`, in [0, 1].

    Raises:
        InputError: A wrong shape, a number that is not finite, or a radius or colour out of range.
    """

    centres: np.ndarray
    radius: float
    colour: Colour = TINT

    def __post_init__(self) -> None:
        check_points(self.centres, "the centres of spheres")
        _check_colour(self.colour, len(self.centres), "spheres")
        if not (isfinite(self.radius) and self.radius > 0):
            raise InputError(f"the radius of spheres must be a positive number, got {self.radius}")


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh with flat faces, seen from both sides.

    Args:
        vertices: `(v, 3)`, v >= 1.
        faces: `(f, 3)` integers, the indices of each triangle's vertices, f >= 1.
        colour: One sRGB colour `(3,)`, or one a face `(f, 3)`, in [0, 1].

    Raises:
        InputError: A wrong shape, a number that is not finite, or an index or colour out of range.
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
    """The vertices of a mesh or the centres of spheres, (n, 3)."""
    return part.vertices if isinstance(part, Mesh) else part.centres


def part_radius(part: Part) -> float:
    """The radius of spheres, 0 for a mesh."""
    return 0.0 if isinstance(part, Mesh) else part.radius


def check_points(points: np.ndarray, name: str) -> None:
    """Refuse what is not a set of finite points (n, 3); `name` is what the message calls it."""
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
            f"the colour of {name} must be sRGB in [0, 1], got {values.min()} to {values.max()}"
        )

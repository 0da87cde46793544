"""What the networks see of an object: points with normals, and the area that each stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

LAYOUT = 1
"""The version of the gripper's probes and of what the networks see of a surface: weights of another
one mean nothing here."""

LINE = (-0.08, -0.05, -0.025, -0.012, -0.006, 0.012, 0.025, 0.05)
"""Places on the line along a landmark's outward normal, metres. What is there tells whether, and
how far behind the landmark, there is an opposite face, and whether there is room before it."""

DESCRIBED = 3 * len(LINE)
"""Numbers that describe a landmark: at each place of `LINE` how much surface is near, which way it
faces, and how far it is."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Surfaces of one object or of several, about the centre of each.

    Values are what `grasp.field.networks.kernel_sums` sums: a, a·n and a·(n·p) of each point, for
    its area a, normal n and place p; the last two make signed distances.

    Attributes:
        centre: in the frame of the object's file, metres. All else is relative to it, so that a
            far origin costs no digits.
        points: metres.
        values: square metres, and their products with n and n·p.
        coarse_points: centres of areas of the coarse level.
        coarse_values: sums of the values.
        landmarks: some of the points, evenly spread, metres.
        landmark_values: the area that each stands for, as a share of all; its normal; and its
            description, which depends on no frame.
        covariance: of the points about the centre, by area, square metres.
    """

    centre: Float[Tensor, "objects 3"]
    points: Float[Tensor, "objects points 3"]
    values: Float[Tensor, "objects points 5"]
    coarse_points: Float[Tensor, "objects coarse 3"]
    coarse_values: Float[Tensor, "objects coarse 5"]
    landmarks: Float[Tensor, "objects landmarks 3"]
    landmark_values: Float[Tensor, "objects landmarks 28"]
    covariance: Float[Tensor, "objects 3 3"]

    def __len__(self) -> int:
        return len(self.points)

    def to(self, *where: Any) -> Surface:
        """On another device or in another type."""
        return Surface(**{each.name: getattr(self, each.name).to(*where) for each in fields(self)})

    def split(self) -> list[Surface]:
        """One surface per object."""
        each = zip(*(getattr(self, part.name).split(1) for part in fields(self)), strict=True)
        return [Surface(*parts) for parts in each]

    @classmethod
    def stack(cls, surfaces: Sequence[Surface]) -> Surface:
        """Several of one object each, as one of several objects."""
        return cls(
            **{
                each.name: _together([getattr(surface, each.name) for surface in surfaces])
                for each in fields(cls)
            }
        )


def _together(tensors: list[Tensor]) -> Tensor:
    """Along the first axis; shorter ones are filled up with points that stand for no area."""
    longest = max(tensor.shape[1] for tensor in tensors)
    if any(tensor.shape[1] < longest for tensor in tensors):
        tensors = [
            nn.functional.pad(tensor, (0, 0, 0, longest - tensor.shape[1])) for tensor in tensors
        ]
    return torch.cat(tensors)

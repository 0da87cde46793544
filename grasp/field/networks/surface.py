"""An object as the networks see it: points on its surface, each with a normal and an area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

LAYOUT = 1
"""Version of the networks' inputs, that is, of the probes and of `Surface`. Weights of another
version cannot be used."""

LINE = (-0.08, -0.05, -0.025, -0.012, -0.006, 0.012, 0.025, 0.05)
"""Places on the line along a landmark's outward normal, in metres. They show if there is an
opposite face behind the landmark, how far away it is, and if there is room in front."""

DESCRIBED = 3 * len(LINE)
"""Number of values that describe a landmark: at each place of `LINE`, how much surface is near,
which way it faces, and how far away it is."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of one object, or of several, each about its own centre.

    `grasp.field.networks.kernel_sums` sums the values a, a·n and a·(n·p) of each point with area a,
    normal n and place p; the last two give signed distances.

    Attributes:
        centre: Centre of the surface in the frame of the object's file, in metres. All other
            coordinates are relative to it, so that a far origin costs no precision.
        points: Points p of the fine level in metres.
        values: Values of each point: a in square metres, a·n, and a·(n·p) in cubic metres.
        coarse_points: Points of the coarse level in metres: centroids of groups of fine points.
        coarse_values: Sums of the values of each group.
        landmarks: Some of the points, evenly spread, in metres.
        landmark_values: For each landmark its share of the total area, its normal, and its
            description, which does not depend on the frame (see `DESCRIBED`).
        covariance: Covariance of the points about the centre, weighted by area, in square metres.
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
        """Move the surface to another device, or convert it to another data type."""
        return Surface(**{each.name: getattr(self, each.name).to(*where) for each in fields(self)})

    def split(self) -> list[Surface]:
        """Split the surface into one per object."""
        each = zip(*(getattr(self, part.name).split(1) for part in fields(self)), strict=True)
        return [Surface(*parts) for parts in each]

    @classmethod
    def stack(cls, surfaces: Sequence[Surface]) -> Surface:
        """Combine surfaces of one object each into the surface of several objects."""
        return cls(
            **{
                each.name: _together([getattr(surface, each.name) for surface in surfaces])
                for each in fields(cls)
            }
        )


def _together(tensors: list[Tensor]) -> Tensor:
    """Join tensors along the first axis, padding shorter ones with points of zero area."""
    longest = max(tensor.shape[1] for tensor in tensors)
    if any(tensor.shape[1] < longest for tensor in tensors):
        tensors = [
            nn.functional.pad(tensor, (0, 0, 0, longest - tensor.shape[1])) for tensor in tensors
        ]
    return torch.cat(tensors)

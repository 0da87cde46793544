"""The surface of an object as an input of the networks: points with surface normals and areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

LAYOUT = 1
"""Version of the networks' inputs: the probes and `Surface`. Weights with another version are
refused."""

LINE = (-0.08, -0.05, -0.025, -0.012, -0.006, 0.012, 0.025, 0.05)
"""Places on the line along a landmark's outward surface normal, as coordinates in metres. Negative
places detect an opposite face behind the landmark, and positive places detect obstacles in front of
the landmark."""

DESCRIBED = 3 * len(LINE)
"""Number of values that describe a landmark. The three values for each place of `LINE` are the
amount of nearby surface, the component of its mean normal along the landmark's normal, and its
signed distance."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of one or several objects.

    The coordinates of an object's surface are relative to the centre of this surface, so that an
    origin far from the object does not reduce the precision. Each point has an area a, an outward
    unit surface normal n and a place p. `grasp.field.networks.kernel_sums` sums the values a, a·n
    and a·(n·p) of the points.

    Attributes:
        centre: Centre of the surface in the frame of the object's file, in metres.
        points: Fine points p in metres.
        values: Values of each fine point: a and a·n in square metres, a·(n·p) in cubic metres.
        coarse_points: Coarse points in metres, which are centroids of groups of fine points.
        coarse_values: Sums of the values over each group of fine points.
        landmarks: Landmarks in metres, an evenly spread subset of the fine points.
        landmark_values: Share of the total area, surface normal and description of each landmark.
            The description does not depend on the frame (see `DESCRIBED`).
        covariance: Covariance of the fine points, weighted by area, in square metres.
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
        """Split the surface of several objects into a list of surfaces, one per object."""
        each = zip(*(getattr(self, part.name).split(1) for part in fields(self)), strict=True)
        return [Surface(*parts) for parts in each]

    @classmethod
    def stack(cls, surfaces: Sequence[Surface]) -> Surface:
        """Combine surfaces of single objects into the surface of several objects."""
        return cls(
            **{
                each.name: _together([getattr(surface, each.name) for surface in surfaces])
                for each in fields(cls)
            }
        )


def _together(tensors: list[Tensor]) -> Tensor:
    """Join tensors along the first axis, after shorter tensors are padded with points of area 0."""
    longest = max(tensor.shape[1] for tensor in tensors)
    if any(tensor.shape[1] < longest for tensor in tensors):
        tensors = [
            nn.functional.pad(tensor, (0, 0, 0, longest - tensor.shape[1])) for tensor in tensors
        ]
    return torch.cat(tensors)

"""ℝ^{N×3}, the space of point clouds, and ℝ^d in general."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator, normal


@dataclass(frozen=True)
class Euclidean(Manifold):
    """Flat space: `retract` adds, `local` subtracts, and the metric is the identity.

    Args:
        point_ndim: Number of axes of one point: 2 for clouds `(points, 3)`, 1 for vectors.
    """

    point_ndim: int = 2

    is_flat = True

    @property
    def tangent_ndim(self) -> int:  # type: ignore[override]
        """The number of axes of a tangent vector, which is that of a point."""
        return self.point_ndim

    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tangent vector, which is that of a point."""
        return point_shape

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """Return x + v."""
        return x + v

    def local(self, x: Tensor, y: Tensor) -> Tensor:
        """Return y − x."""
        return y - x

    def tangent_noise(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Draw standard normal numbers with the shape of `x`."""
        return normal(x.shape, generator, x.dtype, x.device)

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw from N(centre, σ² I); see `Manifold.random`.

        Args:
            shape: Shape of the result, `(batch…, *point)`.
            noise_level: The final σ, in the units of the points.
            generator: One generator, or one per entry of the first axis.
            centre: Centre of the law, in any shape that broadcasts with `shape`. None means the
                origin.
            dtype: Data type of the result.
        """
        if centre is None:
            return noise_level * normal(shape, generator, dtype)
        return centre + noise_level * normal(shape, generator, dtype, centre.device)

    def kernel_score(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return −(x − mean)/σ²."""
        return -(x - mean) / self.over_tangent(noise_level) ** 2

    def log_kernel(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return −‖x − mean‖²/2σ²."""
        square = (x - mean).square().flatten(-self.point_ndim).sum(-1)
        return -square / (2 * noise_level**2)

    def contract(self, alpha: Tensor, x: Tensor) -> Tensor:
        """Return α x."""
        return self.over_tangent(alpha) * x

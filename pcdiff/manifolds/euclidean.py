"""Flat space: ℝ^{N×3} for clouds of N points, and ℝ^d for vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator, normal


@dataclass(frozen=True)
class Euclidean(Manifold):
    """Flat space, where `retract` adds, `local` subtracts and the metric is the identity.

    Args:
        point_ndim: Number of axes of one point: 2 for clouds `(points, 3)`, 1 for vectors.
    """

    point_ndim: int = 2

    is_flat = True

    @property
    def tangent_ndim(self) -> int:  # type: ignore[override]
        """The number of axes of a tangent vector, equal to `point_ndim`."""
        return self.point_ndim

    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `point_shape`, because a tangent vector has the shape of a point."""
        return point_shape

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the point x + v."""
        return x + v

    def local(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the vector y − x."""
        return y - x

    def tangent_noise(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Draw Gaussian numbers with mean 0 and variance 1, in the shape of `x`."""
        return normal(x.shape, generator, x.dtype, x.device)

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw points from the Gaussian N(centre, σ² I); see `Manifold.random`.

        Args:
            shape: Shape of the result, `(batch…, *point)`.
            noise_level: Noise level σ at the end of the forward process, in the units of the
                points.
            generator: One generator, or one generator per entry of the first axis.
            centre: Mean of the Gaussian, in any shape that broadcasts with `shape`. None means the
                origin.
            dtype: Data type of the result.
        """
        if centre is None:
            return noise_level * normal(shape, generator, dtype)
        return centre + noise_level * normal(shape, generator, dtype, centre.device)

    def kernel_score(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return the score −(x − mean)/σ² of the Gaussian noise kernel."""
        return -(x - mean) / self.over_tangent(noise_level) ** 2

    def log_kernel(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return −‖x − mean‖²/2σ², the log density of the noise kernel up to a term in σ."""
        square = (x - mean).square().flatten(-self.point_ndim).sum(-1)
        return -square / (2 * noise_level**2)

    def contract(self, alpha: Tensor, x: Tensor) -> Tensor:
        """Return the points α x."""
        return self.over_tangent(alpha) * x

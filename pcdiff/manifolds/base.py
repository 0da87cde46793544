"""What a space must offer for diffusion to run on it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pcdiff.randomness import Generator


class Manifold(ABC):
    """A space whose points move only by `retract` and are compared only by `local`.

    Points have shape `(batch…, *point)` and tangent vectors `(batch…, *tangent)`, where `point` and
    `tangent` are shapes with `point_ndim` and `tangent_ndim` axes. Tangent vectors at `x` carry the
    units of the space (metres and radians on SE(3)); `to_unit` and `from_unit` apply the metric's
    square root, S^{-1/2} and S^{1/2}, between them and dimensionless *unit* coordinates, in which
    noise is isotropic with standard deviation `noise_level`.

    Every law that this class states is tested over all manifolds at once in `tests/laws`.
    """

    point_ndim: int
    tangent_ndim: int

    @abstractmethod
    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """The point reached from `x` along the tangent vector `v`."""

    @abstractmethod
    def local(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at `x` that reaches `y`: `retract(x, local(x, y)) == y`."""

    @abstractmethod
    def tangent_noise(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Tangent vectors at `x` that are standard normal in unit coordinates: S^{1/2} ε."""

    @abstractmethod
    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Points from the law that the forward process ends in.

        Args:
            shape: the whole shape `(batch…, *point)`.
            noise_level: the final σ.
            generator: one generator, or one for each entry of the first axis.
            centre: where the law is centred, for spaces that have a choice.
            dtype: type of the result.
        """

    @abstractmethod
    def kernel_score(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """∇ₓ log p(x | mean, σ) of `x = retract(mean, σ · tangent_noise)`, as a tangent covector.

        Args:
            mean: points, `(batch…, *point)`.
            x: points, `(batch…, *point)`.
            noise_level: σ, `(batch…)`.
        """

    @abstractmethod
    def log_kernel(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """log p(x | mean, σ), of which `kernel_score` is the gradient, up to a constant of σ.

        Arguments as there.
        """

    def mixture_score(self, means: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """∇ₓ log Σᵢ p(x | meanᵢ, σ), as a tangent covector.

        Args:
            means: points that weigh alike, `(batch…, means, *point)`.
            x: points, `(batch…, *point)`.
            noise_level: σ, `(batch…)`.
        """
        axis = -1 - self.point_ndim
        x, sigma = x.unsqueeze(axis), noise_level.unsqueeze(-1)
        weights = self.log_kernel(means, x, sigma).softmax(-1)
        scores = self.kernel_score(means, x, sigma)
        return (self.over_tangent(weights) * scores).sum(-1 - self.tangent_ndim)

    @abstractmethod
    def contract(self, alpha: Tensor, x: Tensor) -> Tensor:
        """`x` scaled by the signal coefficient α, `(batch…)`.

        Raises:
            ValueError: on a space without a scaling, if any α differs from 1.
        """

    def to_unit(self, v: Tensor) -> Tensor:
        """Tangent vectors in unit coordinates: S^{-1/2} v. The identity unless overridden."""
        return v

    def from_unit(self, u: Tensor) -> Tensor:
        """Unit coordinates as tangent vectors: S^{1/2} u. The identity unless overridden."""
        return u

    def over_tangent(self, scalar: Tensor) -> Tensor:
        """A `(batch…)` scalar shaped to multiply tangent vectors `(batch…, *tangent)`.

        A scalar without axes stays so: then a float64 level does not promote float32 points.
        """
        return scalar.reshape(scalar.shape + (1,) * self.tangent_ndim) if scalar.ndim else scalar

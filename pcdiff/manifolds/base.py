"""The interface of a space on which diffusion can run."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.randomness import Generator


class Manifold(ABC):
    """A space whose points move only by `retract` and are compared only by `local`.

    Points have shape `(batch…, *point)` and tangent vectors `(batch…, *tangent)`, where `point` and
    `tangent` are shapes with `point_ndim` and `tangent_ndim` axes. Tangent vectors at `x` carry the
    units of the space (metres and radians on SE(3)). `to_unit` and `from_unit` apply S^{-1/2} and
    S^{1/2}, the square roots of the metric, to convert between them and dimensionless *unit*
    coordinates, in which noise is isotropic with standard deviation `noise_level`.

    No operation reads a value back from a GPU, so none makes the host wait for the device.

    `tests/laws` tests every law that this class states for every manifold.

    Attributes:
        point_ndim: Number of axes of one point.
        tangent_ndim: Number of axes of one tangent vector.
        is_flat: True if points can be added and scaled, so the signal coefficient α may differ from
            1, and the posterior and the variational bound exist.
        length: ℓ, the standard deviation that noise of level 1 gives a point along one axis, in
            the space's unit of length. It is 1 where the metric is the identity.
    """

    point_ndim: int
    tangent_ndim: int
    is_flat: bool
    length: float = 1.0

    @abstractmethod
    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tangent vector at a point of shape `point_shape`."""

    def zero_tangent(self, x: Tensor) -> Tensor:
        """Return the zero tangent vector at each point of `x`, `(batch…, *tangent)`."""
        axes = x.ndim - self.point_ndim
        return x.new_zeros((*x.shape[:axes], *self.tangent_shape(tuple(x.shape[axes:]))))

    @abstractmethod
    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """Return the point that is reached from `x` along the tangent vector `v`."""

    @abstractmethod
    def local(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the tangent vector at `x` that reaches `y`: `retract(x, local(x, y)) == y`."""

    @abstractmethod
    def tangent_noise(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Draw tangent vectors at `x` that are standard normal in unit coordinates: S^{1/2} ε."""

    @abstractmethod
    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw points from the law in which the forward process ends.

        In flat coordinates this is a normal law about `centre`; for rotations it is the uniform
        law, which has no centre. So each space takes its own kind of centre:

        - `Euclidean`: a point, or any tensor that broadcasts with `shape`; the origin if None.
        - `SE3`: the translation `(…, 3)` of the centre in metres. It is required, because the
          origin of a file's frame means nothing.
        - `SO3`: None only.
        - `Power`: whatever its factor takes, with one more axis for the copies.
        - `Product`: a sequence with the centre of each factor; None stands for no centre at all.

        Args:
            shape: Shape of the result, `(batch…, *point)`.
            noise_level: The final σ.
            generator: One generator, or one per entry of the first axis.
            centre: Centre of the law in the units of the points, as listed above.
            dtype: Data type of the result, which lies on the device of `centre`, or on the CPU if
                there is no centre.

        Raises:
            InputError: If `centre` is not of the kind that the space takes.
        """

    @abstractmethod
    def kernel_score(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return ∇ₓ log p(x | mean, σ) of `x = retract(mean, σ · tangent_noise)`, a covector.

        Args:
            mean: Points, `(batch…, *point)`.
            x: Points, `(batch…, *point)`.
            noise_level: σ, `(batch…)`.
        """

    @abstractmethod
    def log_kernel(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return log p(x | mean, σ) up to a term in σ alone; its gradient is `kernel_score`.

        Args:
            mean: Points, `(batch…, *point)`.
            x: Points, `(batch…, *point)`.
            noise_level: σ, `(batch…)`.
        """

    def mixture_score(self, means: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return ∇ₓ log Σᵢ p(x | meanᵢ, σ), a tangent covector.

        Args:
            means: Equally weighted means of the mixture, `(batch…, means, *point)`.
            x: Points, `(batch…, *point)`.
            noise_level: σ, `(batch…)`.
        """
        axis = -1 - self.point_ndim
        if means.shape[axis] == 1:
            return self.kernel_score(means.squeeze(axis), x, noise_level)
        x, sigma = x.unsqueeze(axis), noise_level.unsqueeze(-1)
        weights = self.log_kernel(means, x, sigma).softmax(-1)
        scores = self.kernel_score(means, x, sigma)
        return (self.over_tangent(weights) * scores).sum(-1 - self.tangent_ndim)

    @abstractmethod
    def contract(self, alpha: Tensor, x: Tensor) -> Tensor:
        """Multiply `x` by the signal coefficient α, `(batch…)`; a curved space allows only α = 1.

        Raises:
            InputError: If the space is curved and an α on the CPU differs from 1.
        """

    def check_signal(self, alpha: Tensor) -> None:
        """Refuse signal coefficients that the space cannot apply.

        Only values on the CPU are checked, because reading a value from a GPU makes the host wait
        for it. Levels come from a schedule on the CPU, so `perturb` and the losses call this before
        they move a level to the device of the points.

        Args:
            alpha: α, of any shape.

        Raises:
            InputError: If the space is curved and an α on the CPU differs from 1.
        """
        if self.is_flat or alpha.device.type != "cpu":
            return
        wrong = alpha[alpha != 1]
        if len(wrong):
            raise InputError(
                f"{type(self).__name__} has no scaling, so the signal coefficient alpha must be 1, "
                f"got {wrong[0].item():g}: use a variance-exploding schedule"
            )

    def to_unit(self, v: Tensor) -> Tensor:
        """Convert tangent vectors to unit coordinates, S^{-1/2} v; the identity by default."""
        return v

    def from_unit(self, u: Tensor) -> Tensor:
        """Convert unit coordinates to tangent vectors, S^{1/2} u; the identity by default."""
        return u

    def over_tangent(self, scalar: Tensor) -> Tensor:
        """Reshape a scalar `(batch…)` so that it multiplies tangent vectors `(batch…, *tangent)`.

        A scalar without axes is left as it is, so a float64 level does not promote float32 points.
        """
        return scalar.reshape(scalar.shape + (1,) * self.tangent_ndim) if scalar.ndim else scalar

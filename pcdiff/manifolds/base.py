"""The interface of a space on which diffusion can run."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.randomness import Generator


class Manifold(ABC):
    """A space on which diffusion can run.

    Points move only by `retract` and are compared only by `local`. Points have shape
    `(batch…, *point)` and tangent vectors have shape `(batch…, *tangent)`, where `point` and
    `tangent` are shapes with `point_ndim` and `tangent_ndim` axes.

    Tangent vectors have the units of the space (metres and radians on SE(3)). `to_unit` multiplies
    a tangent vector by S^{-1/2}, where S is the metric of the space, and returns dimensionless
    *unit* coordinates. `from_unit` multiplies unit coordinates by S^{1/2} and returns the tangent
    vector. In unit coordinates, noise is isotropic with standard deviation `noise_level`.

    No operation reads a value back from a GPU, so the CPU never waits for the GPU.

    The tests in `tests/laws` check every equation of this class on every manifold.

    Attributes:
        point_ndim: Number of axes of one point.
        tangent_ndim: Number of axes of one tangent vector.
        is_flat: True if points can be added and scaled. Only a flat space allows a signal
            coefficient α other than 1 and has a posterior and a variational bound.
        length: The length ℓ: at noise level σ, the noise has the standard deviation σℓ along each
            axis, in the space's unit of length. If the metric is the identity, ℓ is 1.
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
        """Return the point at the end of the tangent vector `v`, which starts at `x`."""

    @abstractmethod
    def local(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the tangent vector from `x` to `y`: `retract(x, local(x, y)) == y`."""

    @abstractmethod
    def tangent_noise(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Draw tangent vectors S^{1/2} ε at `x`, where ε ~ N(0, I) are unit coordinates."""

    @abstractmethod
    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Draw points from the distribution at the end of the forward process.

        In flat coordinates the distribution is Gaussian with mean `centre`. For rotations the
        distribution is uniform and has no centre. The type of `centre` depends on the space:

        - `Euclidean`: a point, or any tensor that broadcasts with `shape`. None means the origin.
        - `SE3`: the position `(…, 3)` of the centre in metres. The centre is required, because the
          origin of a file's frame is arbitrary.
        - `SO3`: only None.
        - `Power`: one centre for all copies, or one centre per copy, with an axis for the copies.
        - `Product`: a sequence with one centre per factor. None means that no factor has a centre.

        Args:
            shape: Shape of the result, `(batch…, *point)`.
            noise_level: Noise level σ at the end of the forward process.
            generator: One generator, or one generator per entry of the first axis.
            centre: Centre of the distribution, in the units of the points.
            dtype: Data type of the result. The result is on the device of `centre`, or on the CPU
                if there is no centre.

        Raises:
            InputError: If the space does not accept this type of `centre`.
        """

    @abstractmethod
    def kernel_score(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return the score ∇ₓ log p(x | mean, σ) of the noise kernel, a covector at `x`.

        The kernel p is the distribution of `retract(mean, σ · tangent_noise(mean))`.

        Args:
            mean: Points at which the kernels are centred, `(batch…, *point)`.
            x: Noisy points, `(batch…, *point)`.
            noise_level: σ, `(batch…)`.
        """

    @abstractmethod
    def log_kernel(self, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return log p(x | mean, σ) of the noise kernel, up to a term that depends only on σ.

        The gradient in `x` is `kernel_score`.

        Args:
            mean: Points at which the kernels are centred, `(batch…, *point)`.
            x: Noisy points, `(batch…, *point)`.
            noise_level: σ, `(batch…)`.
        """

    def mixture_score(self, means: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
        """Return the score ∇ₓ log Σᵢ p(x | meanᵢ, σ) of a mixture of noise kernels.

        The score is a covector at `x`, and p is the kernel of `kernel_score`.

        Args:
            means: Means of the equally weighted kernels, `(batch…, means, *point)`.
            x: Noisy points, `(batch…, *point)`.
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
            InputError: If the space is curved and a value of `alpha` differs from 1.
                Checked only if `alpha` is on the CPU.
        """

    def check_signal(self, alpha: Tensor) -> None:
        """Check that the space can multiply points by the signal coefficients.

        Only values on the CPU are checked, because reading a value from a GPU makes the CPU wait
        for the GPU. Levels come from a schedule on the CPU, and `perturb` calls this method before
        it moves a level to the device of the points.

        Args:
            alpha: α, of any shape.

        Raises:
            InputError: If the space is curved and a value of `alpha` differs from 1.
                Checked only if `alpha` is on the CPU.
        """
        if self.is_flat or alpha.device.type != "cpu":
            return
        wrong = alpha[alpha != 1]
        if len(wrong):
            raise InputError(
                f"{type(self).__name__} cannot scale points, so the signal coefficient alpha must "
                f"be 1, got {wrong[0].item():g}: use a variance-exploding schedule"
            )

    def to_unit(self, v: Tensor) -> Tensor:
        """Convert tangent vectors to unit coordinates, S^{-1/2} v; the identity by default."""
        return v

    def from_unit(self, u: Tensor) -> Tensor:
        """Convert unit coordinates to tangent vectors, S^{1/2} u; the identity by default."""
        return u

    def over_tangent(self, scalar: Tensor) -> Tensor:
        """Reshape scalars `(batch…)` so that they multiply tangent vectors `(batch…, *tangent)`.

        A scalar without axes is returned unchanged, because in this form a float64 level does not
        convert float32 points to float64.
        """
        return scalar.reshape(scalar.shape + (1,) * self.tangent_ndim) if scalar.ndim else scalar

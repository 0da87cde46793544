"""Rotations: the exponential and logarithm of SO(3), and SO(3) as a manifold for diffusion.

A rotation is a matrix R, `(…, 3, 3)`; a tangent vector ω, `(…, 3)`, is in radians in the body frame
(the frame that R maps from), so that moving along it multiplies on the right: R·Exp(ω).
Throughout, θ = |ω| and x̂ = `hat(x)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator, normal

# Taylor coefficients in θ² of sin θ/θ, of (1 − cos θ)/θ² and of (sin θ/θ − 2(1 − cos θ)/θ²)/θ².
# Ten terms leave less than 1e-19 on θ < 1.
_SINE = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]
_COSINE = [(-1) ** k / math.factorial(2 * k + 2) for k in range(10)]
_VOLUME_SLOPE = [-((-1) ** k) * (2 * k + 2) / math.factorial(2 * k + 4) for k in range(10)]
# Of arctan(r)/r in r²; r ≤ tan(π/8), so 24 terms leave less than 1e-19.
_ARCTANGENT = [(-1) ** k / (2 * k + 1) for k in range(24)]

# The wrapped normal law is the same to within 1e-19 for all σ above 10 (Poisson summation: its
# first Fourier coefficient is of order σ² e^{−σ²/2}), and there all but 16 turns either way hold
# less than 1e-19 of it. Of k turns the nearest point is 2πk − π away, so that k/(σ + ½) turns do
# the same at any σ.
_WIDEST, _TURNS = 10.0, 16


def hat(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The skew-symmetric matrix of a cross product: `hat(v) @ u == cross(v, u)`."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def vee(m: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """The vector of a skew-symmetric matrix, the inverse of `hat`."""
    return torch.stack([m[..., 2, 1], m[..., 0, 2], m[..., 1, 0]], dim=-1)


def exp(omega: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation by θ radians about ω: Rodrigues' formula I + (sin θ/θ) ω̂ + ((1−cos θ)/θ²) ω̂².

    Both coefficients are 0/0 at θ = 0, and the derivatives of their closed forms lose digits near
    it, so below θ = 1 they are power series in θ². `torch.where` alone would not do: the branch
    that it rejects is differentiated too, and 0 · ∞ = NaN, so each branch is also fed an argument
    that is safe for it. The value and its first two derivatives are finite everywhere.

    Args:
        omega: rotation vectors in radians, of any length.
    """
    squared = omega.square().sum(-1)[..., None, None]
    turn = hat(omega)
    sine, cosine = _sine_over_angle(squared), _versine_over_square(squared)
    return torch.eye(3, dtype=omega.dtype, device=omega.device) + sine * turn + cosine * turn @ turn


def log(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """The rotation vector of a rotation, in radians, of length at most π: `exp(log(R)) == R`.

    The unit quaternion (n sin θ/2, cos θ/2) gives n tan θ/4, that gives n tan θ/8 by the
    half-angle formula, and that gives n θ by the series of the arctangent, which converges fast up
    to θ = π. Nothing is divided by θ or by sin θ, so the value and its first two derivatives are
    accurate from the identity on.

    At θ = π the two vectors ±πn are one rotation: either is returned, and log, which jumps there,
    has no derivative. Keep it out of an energy.

    Args:
        rotation: rotation matrices, orthonormal up to rounding.
    """
    quaternion = to_quaternion(rotation)
    quarter = quaternion[..., :3] / (1 + quaternion[..., 3:])
    eighth = quarter / (1 + (1 + quarter.square().sum(-1, keepdim=True)).sqrt())
    return 8 * _polynomial(_ARCTANGENT, eighth.square().sum(-1, keepdim=True)) * eighth


def to_quaternion(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """The unit quaternion of a rotation, in the order (x, y, z, w), with w ≥ 0.

    Every row of 4qqᵀ, whose entries are linear in R, is the quaternion times one of its
    components; the row of the largest component loses no digits (Shepperd, 1978).

    Args:
        rotation: rotation matrices, orthonormal up to rounding.
    """
    trace = rotation.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    eye = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    vector_vector = rotation + rotation.mT + (1 - trace) * eye
    vector_scalar = vee(rotation - rotation.mT)[..., None]
    outer = torch.cat(
        [
            torch.cat([vector_vector, vector_scalar], dim=-1),
            torch.cat([vector_scalar.mT, 1 + trace], dim=-1),
        ],
        dim=-2,
    )
    largest = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    row = torch.take_along_dim(outer, largest, dim=-2).squeeze(-2)
    row = torch.where(row[..., 3:] < 0, -row, row)
    return row / row.norm(dim=-1, keepdim=True)


def from_quaternion(quaternion_xyzw: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation of a quaternion in the order (x, y, z, w), of any length but zero."""
    unit = quaternion_xyzw / quaternion_xyzw.norm(dim=-1, keepdim=True)
    turn = hat(unit[..., :3])
    eye = torch.eye(3, dtype=unit.dtype, device=unit.device)
    return eye + 2 * unit[..., 3:, None] * turn + 2 * turn @ turn


def uniform(
    batch: Sequence[int],
    generator: Generator | None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "... 3 3"]:
    """Rotations uniform with respect to Haar measure, `(batch…, 3, 3)`, from normal quaternions.

    Args:
        batch: the shape without the two axes of a rotation.
        generator: one generator, or one for each entry of the first axis.
        dtype: type of the result.
        device: device of the result.
    """
    return from_quaternion(normal((*batch, 4), generator, dtype, device))


@dataclass(frozen=True)
class SO3(Manifold):
    """Rotations, with tangent vectors in radians in the body frame and the bi-invariant metric.

    The law of noise is the *wrapped normal*, that of mean·Exp(σε) with ε ~ N(0, I₃). Keep σ below
    about 1.2. All of the sphere |σε| = 2π lands on the mean, so the density has a pole like 1/θ²
    there and the variance of the score is infinite: up to σ = 1.2 no one will ever draw what shows
    it, but from σ = 1.5 on rare draws near the mean rule a score-matching loss. And as σ grows the
    law tends to a uniform angle, not to the uniform rotation; it is closest to it at σ = 1.8.
    """

    point_ndim = 2
    tangent_ndim = 1

    def retract(
        self, x: Float[Tensor, "*#batch 3 3"], v: Float[Tensor, "*#batch 3"]
    ) -> Float[Tensor, "... 3 3"]:
        """x·Exp(v)."""
        return x @ exp(v)

    def local(
        self, x: Float[Tensor, "*#batch 3 3"], y: Float[Tensor, "*#batch 3 3"]
    ) -> Float[Tensor, "... 3"]:
        """Log(xᵀy); it jumps where x and y are half a turn apart."""
        return log(x.mT @ y)

    def tangent_noise(
        self, x: Float[Tensor, "*batch 3 3"], generator: Generator | None
    ) -> Float[Tensor, "*batch 3"]:
        """Standard normal rotation vectors in radians."""
        return normal((*x.shape[:-2], 3), generator, x.dtype, x.device)

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "... 3 3"]:
        """Uniform rotations, whatever the noise level, as `Manifold.random`.

        Raises:
            InputError: if a centre is given, which the uniform law does not have.
        """
        if centre is not None:
            raise InputError("the uniform law on SO(3) has no centre, but one was given")
        return uniform(shape[:-2], generator, dtype)

    def kernel_score(
        self,
        mean: Float[Tensor, "*#batch 3 3"],
        x: Float[Tensor, "*#batch 3 3"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "... 3"]:
        """The gradient of `log_kernel` in x, per radian in the body frame of x.

        Along ω = Log(meanᵀx) it is d/dθ log p. Up to σ ≈ 0.5 that leaves
        −ω/σ² − (sin θ/(1−cos θ) − 2/θ)·ω/θ, the naive −ω/σ² corrected for the volume of Exp.
        By symmetry it is 0 at x = mean.
        """
        omega = self.local(mean, x)
        squared, angle = _angle(omega)
        sigma = noise_level.to(x).clamp(max=_WIDEST)
        turns = _turns(angle, sigma)
        weights = _log_weights(angle, sigma).softmax(-1)
        # The slope of one turn's logarithm is 2/(θ+τ) − (θ+τ)/σ²; less that of no turn, it is
        # −τ (2/(θ(θ+τ)) + 1/σ²), whose weighted mean is thus free of cancellation at small θ.
        angle_, sigma_ = angle[..., None], sigma[..., None]
        wraps = (weights * turns * (2 / (angle_ * (angle_ + turns)) + sigma_**-2)).sum(-1) / angle
        volume = _blend(
            squared, _VOLUME_SLOPE, lambda a: (a.sin() / a - 2 * (1 - a.cos()) / a**2) / a**2
        ) / _versine_over_square(squared)
        return -(sigma**-2 + volume + wraps)[..., None] * omega

    def log_kernel(
        self,
        mean: Float[Tensor, "*#batch 3 3"],
        x: Float[Tensor, "*#batch 3 3"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "..."]:
        """The logarithm of the density at x of the law of mean·Exp(σε), against Haar measure.

        Haar measure has total mass one, that is (1−cos θ)/(4π²θ²) dω in rotation vectors. Each
        preimage θ + 2πk of x counts with its own normal density and Lebesgue volume:
        p = 4π² (2πσ²)^{−3/2} Σₖ (θ+2πk)² exp(−(θ+2πk)²/2σ²) / (1−cos θ).

        Args:
            mean: rotations.
            x: rotations.
            noise_level: σ > 0, in radians.
        """
        squared, angle = _angle(self.local(mean, x))
        sigma = noise_level.to(x).clamp(max=_WIDEST)
        constant = math.log(4 * math.pi**2) - 1.5 * (2 * math.pi * sigma**2).log()
        gaussian = -squared / (2 * sigma**2)
        wraps = _log_weights(angle, sigma).logsumexp(-1)
        return constant + gaussian + wraps - _versine_over_square(squared).log()

    def contract(self, alpha: Tensor, x: Float[Tensor, "*#batch 3 3"]) -> Float[Tensor, "... 3 3"]:
        """`x` itself; a rotation has no multiples.

        Raises:
            InputError: if any α differs from 1.
        """
        return refuse_scaling("SO(3)", alpha, x)


def refuse_scaling(space: str, alpha: Tensor, x: Tensor) -> Tensor:
    """`x`, if every α is 1: `Manifold.contract` on a space without a scaling.

    Raises:
        InputError: if any α differs from 1.
    """
    wrong = alpha[alpha != 1]
    if len(wrong):
        raise InputError(
            f"{space} has no scaling, so the signal coefficient alpha must be 1, "
            f"got {wrong[0].item():g}: use a variance-exploding schedule"
        )
    return x


def _angle(omega: Tensor) -> tuple[Tensor, Tensor]:
    """θ², and θ kept far enough from 0 that neither 1/θ² nor a derivative overflows."""
    squared = omega.square().sum(-1)
    return squared, squared.clamp(min=1e-30).sqrt()


def _turns(angle: Tensor, sigma: Tensor) -> Tensor:
    """The whole turns 2πk that are summed over: all that hold more than 1e-19 of the law."""
    widest = float(sigma.max()) if sigma.numel() else 0.0
    most = math.ceil(_TURNS * (widest + 0.5) / (_WIDEST + 0.5))
    turns = torch.arange(-most, most + 1, dtype=angle.dtype, device=angle.device)
    return 2 * math.pi * turns


def _log_weights(angle: Tensor, sigma: Tensor) -> Tensor:
    """Logarithms of (θ+τ)² exp(−(θ+τ)²/2σ²) for each turn τ, relative to that of no turn."""
    angle, turns = angle[..., None], _turns(angle, sigma)
    volume = 2 * (1 + turns / angle).abs().log()
    return volume - turns * (2 * angle + turns) / (2 * sigma[..., None] ** 2)


def _sine_over_angle(squared: Tensor) -> Tensor:
    return _blend(squared, _SINE, lambda angle: angle.sin() / angle)


def _versine_over_square(squared: Tensor) -> Tensor:
    return _blend(squared, _COSINE, lambda angle: (1 - angle.cos()) / angle**2)


def _blend(
    squared: Tensor, series: Sequence[float], closed_form: Callable[[Tensor], Tensor]
) -> Tensor:
    """A power series in θ² below θ = 1 and a closed form in θ above, each fed what is safe for it.

    See `exp` for the reason.
    """
    near = squared < 1
    close = _polynomial(series, torch.where(near, squared, 0))
    return torch.where(near, close, closed_form(torch.where(near, 1, squared).sqrt()))


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value

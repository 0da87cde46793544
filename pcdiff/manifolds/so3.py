"""Rotations: the exponential and logarithm of SO(3), and SO(3) as a manifold for diffusion.

A rotation is a matrix R, `(…, 3, 3)`, which maps vectors from the body frame to the reference
frame. A tangent vector ω, `(…, 3)`, is a rotation vector in radians in the body frame. A step along
ω therefore multiplies R on the right: R·Exp(ω).
In this module, θ = |ω| and x̂ = `hat(x)`.
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
# With ten terms, the error is below 1e-19 for θ < 1.
_SINE = [(-1) ** k / math.factorial(2 * k + 1) for k in range(10)]
_COSINE = [(-1) ** k / math.factorial(2 * k + 2) for k in range(10)]
_VOLUME_SLOPE = [-((-1) ** k) * (2 * k + 2) / math.factorial(2 * k + 4) for k in range(10)]
# Taylor coefficients in r² of arctan(r)/r. Here r ≤ tan(π/8), so 24 terms suffice for 1e-19.
_ARCTANGENT = [(-1) ** k / (2 * k + 1) for k in range(24)]

# All wrapped normal distributions with σ above 10 agree to within 1e-19 (Poisson summation: the
# first Fourier coefficient is of order σ² e^{−σ²/2}). At σ = 10, more than 16 turns in either
# direction have a probability below 1e-19. The nearest point after k turns is 2πk − π away, so the
# required number of turns is at most proportional to σ + ½.
_WIDEST, _TURNS = 10.0, 16


def hat(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the skew-symmetric matrix of the cross product: `hat(v) @ u == cross(v, u)`."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def vee(m: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Return the vector of a skew-symmetric matrix: `vee(hat(v)) == v`."""
    return torch.stack([m[..., 2, 1], m[..., 0, 2], m[..., 1, 0]], dim=-1)


def exp(omega: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation by θ = |ω| radians around the axis ω.

    Rodrigues' formula is I + (sin θ/θ) ω̂ + ((1−cos θ)/θ²) ω̂². Both coefficients are 0/0 at θ = 0,
    and the derivatives of their closed forms lose digits near θ = 0. Below θ = 1, the coefficients
    are therefore computed as power series in θ². `torch.where` also differentiates the rejected
    branch, and 0 · ∞ = NaN, so each branch gets an argument that is safe for this branch. The value
    and its first two derivatives are finite everywhere.

    Args:
        omega: Rotation vectors in radians, of any length.
    """
    squared = omega.square().sum(-1)[..., None, None]
    turn = hat(omega)
    sine, cosine = _sine_over_angle(squared), _versine_over_square(squared)
    return torch.eye(3, dtype=omega.dtype, device=omega.device) + sine * turn + cosine * turn @ turn


def log(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Return the rotation vector of a rotation, in radians, with length at most π.

    The inverse is `exp`: `exp(log(R)) == R`. With the rotation axis n, the unit quaternion
    (n sin(θ/2), cos(θ/2)) gives n tan(θ/4). The half-angle formula converts n tan(θ/4) to
    n tan(θ/8). The series of the arctangent, which converges fast up to θ = π, converts n tan(θ/8)
    to nθ.
    No step divides by θ or by sin θ, so the value and its first two derivatives are accurate at the
    identity and near the identity.

    At θ = π, the vectors πn and −πn represent one rotation, and the function may return either
    vector. The logarithm is discontinuous at θ = π and has no derivative, so do not use the
    logarithm in an energy function.

    Args:
        rotation: Rotation matrices, orthonormal up to rounding errors.
    """
    quaternion = to_quaternion(rotation)
    quarter = quaternion[..., :3] / (1 + quaternion[..., 3:])
    eighth = quarter / (1 + (1 + quarter.square().sum(-1, keepdim=True)).sqrt())
    return 8 * _polynomial(_ARCTANGENT, eighth.square().sum(-1, keepdim=True)) * eighth


def to_quaternion(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Return the unit quaternion q of a rotation, in the order (x, y, z, w), with w ≥ 0.

    The entries of the matrix 4qqᵀ are linear in R, and each row of the matrix is a multiple of q.
    The row with the largest diagonal entry gives q without loss of digits (Shepperd, 1978).

    Args:
        rotation: Rotation matrices, orthonormal up to rounding errors.
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
    # take_along_dim would fix the batch size of an exported graph, because it broadcasts.
    row = outer.gather(-2, largest.expand(*outer.shape[:-2], 1, 4)).squeeze(-2)
    row = torch.where(row[..., 3:] < 0, -row, row)
    return row / row.norm(dim=-1, keepdim=True)


def from_quaternion(quaternion_xyzw: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the rotation of a quaternion (x, y, z, w), which may have any nonzero length."""
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
    """Draw rotations that are uniform with respect to Haar measure, `(batch…, 3, 3)`.

    Args:
        batch: Shape of the result without the two axes of a rotation.
        generator: One generator, or one generator per entry of the first axis.
        dtype: Data type of the result.
        device: Device of the result.
    """
    return from_quaternion(normal((*batch, 4), generator, dtype, device))


@dataclass(frozen=True)
class SO3(Manifold):
    """The space of rotations, with tangent vectors in radians in the body frame.

    The metric is bi-invariant. The noise has the *wrapped normal* distribution, which is the
    distribution of mean·Exp(σε) with ε ~ N(0, I₃).

    Choose σ below approximately 1.2. Exp maps the whole sphere |σε| = 2π to the mean, so the
    density has a pole like 1/θ² at the mean, and the score has infinite variance. Up to σ = 1.2,
    almost no random rotation reaches this pole. From σ = 1.5 on, rare rotations near the mean
    dominate a score-matching loss. For large σ, the angle of the rotation becomes uniform, but the
    rotation itself does not. The wrapped normal distribution is closest to the uniform distribution
    of rotations at σ = 1.8.
    """

    point_ndim = 2
    tangent_ndim = 1
    is_flat = False

    def tangent_shape(self, point_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a tangent vector: one axis with 3 entries."""
        return (3,)

    def retract(
        self, x: Float[Tensor, "*#batch 3 3"], v: Float[Tensor, "*#batch 3"]
    ) -> Float[Tensor, "... 3 3"]:
        """Return the rotation x·Exp(v)."""
        return x @ exp(v)

    def local(
        self, x: Float[Tensor, "*#batch 3 3"], y: Float[Tensor, "*#batch 3 3"]
    ) -> Float[Tensor, "... 3"]:
        """Return Log(xᵀy), which is discontinuous where x and y are half a turn apart."""
        return log(x.mT @ y)

    def tangent_noise(
        self, x: Float[Tensor, "*batch 3 3"], generator: Generator | None
    ) -> Float[Tensor, "*batch 3"]:
        """Draw Gaussian rotation vectors, with a standard deviation of 1 radian in each entry."""
        return normal((*x.shape[:-2], 3), generator, x.dtype, x.device)

    def random(
        self,
        shape: tuple[int, ...],
        noise_level: float,
        generator: Generator,
        centre: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Float[Tensor, "... 3 3"]:
        """Draw uniform rotations; see `Manifold.random`.

        Args:
            shape: Shape of the result, `(batch…, 3, 3)`.
            noise_level: Noise level σ at the end of the forward process, which has no effect.
            generator: One generator, or one generator per entry of the first axis.
            centre: None, because the uniform distribution has no centre.
            dtype: Data type of the result.

        Raises:
            InputError: If `centre` is not None.
        """
        if centre is not None:
            raise InputError(
                "the uniform distribution on SO(3) has no centre, so centre must be None, "
                f"got a tensor of shape {tuple(centre.shape)}"
            )
        return uniform(shape[:-2], generator, dtype)

    def kernel_score(
        self,
        mean: Float[Tensor, "*#batch 3 3"],
        x: Float[Tensor, "*#batch 3 3"],
        noise_level: Float[Tensor, "*#batch"],
    ) -> Float[Tensor, "... 3"]:
        """Return the gradient of `log_kernel` in x, per radian in the body frame of x.

        The gradient points along ω = Log(meanᵀx), with slope d/dθ log p. Up to σ ≈ 0.5 the gradient
        is −ω/σ² − (sin θ/(1−cos θ) − 2/θ)·ω/θ. Here −ω/σ² is the score of flat space, and the
        second term is a correction, because Exp does not preserve volume. By symmetry the gradient
        is 0 at x = mean.

        Args:
            mean: Rotations, `(batch…, 3, 3)`.
            x: Rotations, `(batch…, 3, 3)`.
            noise_level: σ > 0 in radians, `(batch…)`.
        """
        omega = self.local(mean, x)
        squared, angle = _angle(omega)
        sigma = noise_level.to(x).clamp(max=_WIDEST)
        turns = _turns(angle, sigma)
        weights = _log_weights(angle, sigma, turns).softmax(-1)
        # The logarithm of the term of turn τ has slope 2/(θ+τ) − (θ+τ)/σ². The difference between
        # this slope and the slope at τ = 0 is −τ (2/(θ(θ+τ)) + 1/σ²). The weighted mean of the
        # difference loses no digits at small θ.
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
        """Return the log density of mean·Exp(σε) at x with respect to Haar measure.

        Haar measure has total mass one. In rotation vectors, Haar measure is (1−cos θ)/(4π²θ²) dω.
        Each preimage θ + 2πk of x contributes its Gaussian density and its Lebesgue volume:
        p = 4π² (2πσ²)^{−3/2} Σₖ (θ+2πk)² exp(−(θ+2πk)²/2σ²) / (1−cos θ).

        Args:
            mean: Rotations, `(batch…, 3, 3)`.
            x: Rotations, `(batch…, 3, 3)`.
            noise_level: σ > 0 in radians, `(batch…)`.
        """
        squared, angle = _angle(self.local(mean, x))
        sigma = noise_level.to(x).clamp(max=_WIDEST)
        constant = math.log(4 * math.pi**2) - 1.5 * (2 * math.pi * sigma**2).log()
        gaussian = -squared / (2 * sigma**2)
        wraps = _log_weights(angle, sigma, _turns(angle, sigma)).logsumexp(-1)
        return constant + gaussian + wraps - _versine_over_square(squared).log()

    def contract(self, alpha: Tensor, x: Float[Tensor, "*#batch 3 3"]) -> Float[Tensor, "... 3 3"]:
        """Return `x` unchanged, because a rotation cannot be scaled.

        Raises:
            InputError: If a value of `alpha` differs from 1.
                Checked only if `alpha` is on the CPU.
        """
        self.check_signal(alpha)
        return x


def _angle(omega: Tensor) -> tuple[Tensor, Tensor]:
    """Return θ² and θ, where θ is clamped above 0 so that 1/θ² and derivatives are finite."""
    squared = omega.square().sum(-1)
    return squared, squared.clamp(min=1e-30).sqrt()


def _turns(angle: Tensor, sigma: Tensor) -> Tensor:
    """Return the angles 2πk of all whole turns with a probability above 1e-19."""
    most = _most_turns(sigma)
    turns = torch.arange(-most, most + 1, dtype=angle.dtype, device=angle.device)
    return 2 * math.pi * turns


def _most_turns(sigma: Tensor) -> int:
    """Return the largest number of whole turns in either direction that the sum includes.

    On the CPU, the values of σ can be read, and for small σ few turns suffice. If the values cannot
    be read, or if reading them would make the CPU wait for a GPU, the result is the number that
    suffices for every σ. The additional terms change a density by less than its rounding error.
    """
    if sigma.device.type != "cpu" or torch.compiler.is_compiling():
        return _TURNS
    try:
        widest = float(sigma.max()) if sigma.numel() else 0.0
    except RuntimeError:  # a batched or traced tensor, as in torch.func.vmap, has no values to read
        return _TURNS
    return math.ceil(_TURNS * (widest + 0.5) / (_WIDEST + 0.5))


def _log_weights(angle: Tensor, sigma: Tensor, turns: Tensor) -> Tensor:
    """Return log((θ+τ)² exp(−(θ+τ)²/2σ²)) for each turn τ, minus the value at τ = 0."""
    angle = angle[..., None]
    volume = 2 * (1 + turns / angle).abs().log()
    return volume - turns * (2 * angle + turns) / (2 * sigma[..., None] ** 2)


def _sine_over_angle(squared: Tensor) -> Tensor:
    return _blend(squared, _SINE, lambda angle: angle.sin() / angle)


def _versine_over_square(squared: Tensor) -> Tensor:
    return _blend(squared, _COSINE, lambda angle: (1 - angle.cos()) / angle**2)


def _blend(
    squared: Tensor, series: Sequence[float], closed_form: Callable[[Tensor], Tensor]
) -> Tensor:
    """Evaluate a power series in θ² for θ < 1 and a closed form for θ ≥ 1.

    Each formula gets arguments that are safe for its derivative; see `exp`.
    """
    near = squared < 1
    close = _polynomial(series, torch.where(near, squared, 0))
    return torch.where(near, close, closed_form(torch.where(near, 1, squared).sqrt()))


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value

"""Noise schedules: functions t ↦ (α_t, σ_t).

Time runs from 0 (clean) to 1 (noise) in every schedule; a point at time t is x_t = α_t x₀ ⊕ σ_t ε.
Levels are computed in float64, because the posterior contains differences of nearly equal α². They
stay on the CPU until a batch of points needs them, so reading them never makes the host wait for a
GPU.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.randomness import Generator, uniform

LARGEST_FINAL_ALPHA_BAR = 1e-3
"""A schedule whose ᾱ at t = 1 reaches this value does not end in noise."""


class Level(NamedTuple):
    """The signal coefficient α and the noise level σ at one or more times.

    Attributes:
        alpha: α, dimensionless.
        sigma: σ, dimensionless, with the shape of `alpha`.
    """

    alpha: Tensor
    sigma: Tensor

    def to(self, x: Tensor) -> Level:
        """Return the same level with the data type and on the device of `x`."""
        # A non-blocking copy does not wait for the GPU. It is unsafe only from the GPU to the CPU.
        at_once = x.device.type == "cuda"
        return Level(self.alpha.to(x, non_blocking=at_once), self.sigma.to(x, non_blocking=at_once))

    def each(self) -> Iterator[Level]:
        """Yield the levels along the first axis, one by one."""
        return (Level(alpha, sigma) for alpha, sigma in zip(self.alpha, self.sigma, strict=True))

    def over_batch(self, x: Tensor, point_ndim: int) -> Level:
        """Repeat this level, which must have no axes, for each point of the batch `x`.

        Args:
            x: Points, `(batch…, *point)`, which give the data type and the device.
            point_ndim: Number of axes of one point.
        """
        batch = x.shape[: x.ndim - point_ndim]
        return Level(*(value.expand(batch) for value in self.to(x)))


class Schedule(ABC):
    """A noise schedule, which is completely described by its `name` and its dataclass fields.

    Attributes:
        name: Name of the family, a key of `SCHEDULES`.
    """

    name: str

    @abstractmethod
    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """Return the level at times `t` in [0, 1], in float64 and with the shape of `t`."""

    @abstractmethod
    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """Return the level of this schedule whose σ/α equals `ratio`."""

    @abstractmethod
    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Draw random times to train at.

        Args:
            count: Number of times.
            generator: One generator, or one per time.
        """

    @property
    @abstractmethod
    def trained_times(self) -> tuple[float, float]:
        """Return the latest and the earliest time that `random_times` draws."""

    def trained_ratios(self) -> tuple[float, float]:
        """Return the largest and the smallest noise-to-signal ratio σ/α that occur in training."""
        alpha, sigma = self(torch.tensor(self.trained_times, dtype=torch.float64))
        largest, smallest = (sigma / alpha).tolist()
        return largest, smallest

    def as_dict(self) -> dict[str, Any]:
        """Return the schedule as a dictionary, from which `schedule_from_dict` rebuilds it."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


class DiscreteSchedule(Schedule):
    """A variance-preserving schedule (α² + σ² = 1) of T steps with variances β_k (Ho et al. 2020).

    Step k is at t = k/T, where α_t² = ᾱ_k = Π_{i≤k}(1 − β_i). Between two steps log ᾱ is
    interpolated linearly, so samplers may stop at any level.

    Attributes:
        steps: Number of steps T.
    """

    steps: int

    @abstractmethod
    def betas(self) -> Float64[Tensor, " steps"]:
        """The variances β₁ … β_T."""

    @cached_property
    def log_alpha_bar(self) -> Float64[Tensor, " knots"]:
        """The values log ᾱ₀ … log ᾱ_T, of which the first is 0."""
        return torch.cat(
            [torch.zeros(1, dtype=torch.float64), torch.log1p(-self.betas()).cumsum(0)]
        )

    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """See `Schedule.__call__`."""
        table = self.log_alpha_bar.to(t.device)
        position = t.double() * self.steps
        below = position.floor().long().clamp(0, self.steps - 1)
        log_alpha_bar = torch.lerp(table[below], table[below + 1], position - below)
        return Level(torch.exp(log_alpha_bar / 2), torch.expm1(log_alpha_bar).abs().sqrt())

    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """Return α = 1/√(1 + ratio²) and σ = ratio · α."""
        alpha = torch.rsqrt(1 + ratio.double() ** 2)
        return Level(alpha, ratio * alpha)

    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Draw times k/T, with k uniform on 1 … T (Ho et al. 2020, Algorithm 1)."""
        step = (uniform((count,), generator, torch.float64) * self.steps).floor() + 1
        return step / self.steps

    @property
    def trained_times(self) -> tuple[float, float]:
        """Return 1 and 1/T."""
        return 1.0, 1 / self.steps

    def _warn_unless_noise(self) -> None:
        final = math.exp(self.log_alpha_bar[-1])
        if final >= LARGEST_FINAL_ALPHA_BAR:
            warnings.warn(
                f"schedule {self.name!r} ends at ᾱ = {final:.2g}, not in noise (expected below "
                f"{LARGEST_FINAL_ALPHA_BAR}): samples do not start from the law of the model",
                stacklevel=4,
            )


@dataclass(frozen=True)
class Linear(DiscreteSchedule):
    """The schedule in which β rises linearly (Ho et al. 2020, section 4).

    Args:
        steps: Number of steps T.
        beta_first: β₁.
        beta_last: β_T.

    Raises:
        InputError: If there is no step, or 0 < β₁ ≤ β_T < 1 does not hold.
    """

    name = "linear"
    steps: int = 1000
    beta_first: float = 1e-4
    beta_last: float = 0.02

    def __post_init__(self) -> None:
        _require(self.steps >= 1, f"a schedule needs at least 1 step, got {self.steps}")
        _require(
            0 < self.beta_first <= self.beta_last < 1,
            f"expected 0 < beta_first <= beta_last < 1, got {self.beta_first} and {self.beta_last}",
        )
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """The variances β₁ … β_T, equally spaced."""
        return torch.linspace(self.beta_first, self.beta_last, self.steps, dtype=torch.float64)


@dataclass(frozen=True)
class LuoHuReleasedCode(DiscreteSchedule):
    """The linear schedule of the code released with Luo & Hu (CVPR 2021): T = 100, β_T = 0.02.

    It ends at ᾱ_T = 0.36, far from pure noise, and issues a warning about this. Use it only to
    reproduce that code.

    Args:
        steps: Number of steps T.
    """

    name = "luo-hu-released-code"
    steps: int = 100

    def __post_init__(self) -> None:
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """The variances β₁ … β_T, equally spaced."""
        return torch.linspace(1e-4, 0.02, self.steps, dtype=torch.float64)


@dataclass(frozen=True)
class Cosine(DiscreteSchedule):
    """The schedule in which ᾱ follows cos² (Nichol & Dhariwal 2021, equation 17).

    Args:
        steps: Number of steps T.
        offset: s in the paper, which keeps β from being too small near t = 0.
        beta_max: Largest β; greater values are clipped to it.

    Raises:
        InputError: If there is no step.
    """

    name = "cosine"
    steps: int = 1000
    offset: float = 0.008
    beta_max: float = 0.999

    def __post_init__(self) -> None:
        _require(self.steps >= 1, f"a schedule needs at least 1 step, got {self.steps}")
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """The variances β_k = 1 − ᾱ_k/ᾱ_{k−1}, clipped to `beta_max`."""
        t = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)
        alpha_bar = torch.cos((t + self.offset) / (1 + self.offset) * math.pi / 2) ** 2
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=self.beta_max)


@dataclass(frozen=True)
class GeometricVarianceExploding(Schedule):
    """The schedule α = 1, σ_t = σ_min (σ_max/σ_min)^t (Song & Ermon 2019; Song et al. 2021).

    This is the only schedule that SE(3) allows. It ends in noise if σ_max is large compared with
    the spread of the data.

    Args:
        sigma_min: σ at t = 0.
        sigma_max: σ at t = 1.

    Raises:
        InputError: If 0 < σ_min < σ_max does not hold.
    """

    name = "geometric"
    sigma_min: float
    sigma_max: float

    def __post_init__(self) -> None:
        _require(
            0 < self.sigma_min < self.sigma_max,
            f"expected 0 < sigma_min < sigma_max, got {self.sigma_min} and {self.sigma_max}",
        )

    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """See `Schedule.__call__`."""
        sigma = self.sigma_min * (self.sigma_max / self.sigma_min) ** t.double()
        return Level(torch.ones_like(sigma), sigma)

    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """Return α = 1 and σ = ratio."""
        return Level(torch.ones_like(ratio.double()), ratio.double())

    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Draw times uniformly on [0, 1), so that σ is log-uniform."""
        return uniform((count,), generator, torch.float64)

    @property
    def trained_times(self) -> tuple[float, float]:
        """Return 1 and 0."""
        return 1.0, 0.0


SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (Linear, LuoHuReleasedCode, Cosine, GeometricVarianceExploding)
}


def schedule_from_dict(description: dict[str, Any]) -> Schedule:
    """Build the schedule that `Schedule.as_dict` described.

    Args:
        description: Name of the family and its fields.

    Raises:
        InputError: If the name is not a key of `SCHEDULES`.
    """
    fields = dict(description)
    name = fields.pop("name")
    _require(name in SCHEDULES, f"expected a schedule from {sorted(SCHEDULES)}, got {name!r}")
    return SCHEDULES[name](**fields)


def uniform_levels(schedule: Schedule, steps: int) -> Level:
    """Return `steps + 1` levels at equally spaced times from t = 1 down to t = 0.

    Args:
        schedule: Schedule that turns times into levels.
        steps: Number of steps, at least 1.

    Raises:
        InputError: If there is no step.
    """
    _require(steps >= 1, f"sampling needs at least 1 step, got {steps}")
    return schedule(torch.linspace(1, 0, steps + 1, dtype=torch.float64))


def geometric_levels(schedule: Schedule, steps: int, largest: float, smallest: float) -> Level:
    """Return `steps` levels with log(σ/α) equally spaced, then the clean level (α, σ) = (1, 0).

    Every step multiplies the signal-to-noise ratio by the same factor, so with many steps every
    step is small. In `uniform_levels` the last steps stay large, however many steps there are.

    Args:
        schedule: Schedule that turns a ratio into a level.
        steps: Number of steps, at least 2.
        largest: σ/α of the first level.
        smallest: σ/α of the last noisy level.

    Raises:
        InputError: If there are fewer than 2 steps, or 0 < smallest < largest does not hold.
    """
    return _spaced_levels(schedule, steps, largest, smallest, torch.log, torch.exp)


def karras_levels(
    schedule: Schedule, steps: int, largest: float, smallest: float, rho: float = 7.0
) -> Level:
    """Return `steps` levels with (σ/α)^{1/ρ} equally spaced, then the level (α, σ) = (1, 0).

    This is equation 5 of Karras et al. 2022, in terms of the noise-to-signal ratio, so it can also
    be used with variance-preserving schedules.

    Args:
        schedule: Schedule that turns a ratio into a level.
        steps: Number of steps, at least 2.
        largest: σ/α of the first level.
        smallest: σ/α of the last noisy level.
        rho: ρ; larger values spend more steps at small noise.

    Raises:
        InputError: If there are fewer than 2 steps, or 0 < smallest < largest does not hold.
    """
    return _spaced_levels(
        schedule, steps, largest, smallest, lambda r: r ** (1 / rho), lambda w: w**rho
    )


def _spaced_levels(
    schedule: Schedule,
    steps: int,
    largest: float,
    smallest: float,
    warp: Callable[[Tensor], Tensor],
    unwarp: Callable[[Tensor], Tensor],
) -> Level:
    """Return levels whose warped ratios are equally spaced, then the clean level."""
    _require(steps >= 2, f"sampling with spaced levels needs at least 2 steps, got {steps}")
    _require(
        0 < smallest < largest, f"expected 0 < smallest < largest, got {smallest} and {largest}"
    )
    ends = warp(torch.tensor([largest, smallest], dtype=torch.float64))
    ratio = unwarp(torch.lerp(ends[0], ends[1], torch.linspace(0, 1, steps, dtype=torch.float64)))
    return schedule.at_noise_to_signal(torch.cat([ratio, ratio.new_zeros(1)]))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)

"""Noise schedules, which map a time t to the level (α_t, σ_t).

In every schedule, time runs from 0 (clean) to 1 (noise), and a noisy point is x_t = α_t x₀ ⊕ σ_t ε.
Levels are computed in float64, because the posterior contains differences of nearly equal α². The
levels stay on the CPU until a batch of points needs them, so that reading a level never makes the
CPU wait for a GPU.
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

from pcdiff.bounds import check_real, check_whole
from pcdiff.errors import InputError
from pcdiff.randomness import Generator, uniform

MOST_STEPS = 10**6
"""Largest accepted number of steps T, of which a schedule stores one number each."""

LARGEST_FINAL_ALPHA_BAR = 1e-3
"""A schedule ends in noise if ᾱ = α² at t = 1 is below this value."""


class Level(NamedTuple):
    """The signal coefficient α and the noise level σ at one or more times.

    Attributes:
        alpha: Signal coefficient α, dimensionless.
        sigma: Noise level σ, dimensionless, with the shape of `alpha`.
    """

    alpha: Tensor
    sigma: Tensor

    def to(self, x: Tensor) -> Level:
        """Return the level with the data type of `x`, on the device of `x`."""
        # A non-blocking copy does not wait for the GPU. It is unsafe only from the GPU to the CPU.
        at_once = x.device.type == "cuda"
        return Level(self.alpha.to(x, non_blocking=at_once), self.sigma.to(x, non_blocking=at_once))

    def each(self) -> Iterator[Level]:
        """Yield the levels along the first axis, one by one."""
        return (Level(alpha, sigma) for alpha, sigma in zip(self.alpha, self.sigma, strict=True))

    def over_batch(self, x: Tensor, point_ndim: int) -> Level:
        """Repeat a level without axes for each point of the batch `x`.

        Args:
            x: Points, `(batch…, *point)`. The result has their data type and their device.
            point_ndim: Number of axes of one point.
        """
        batch = x.shape[: x.ndim - point_ndim]
        return Level(*(value.expand(batch) for value in self.to(x)))


class Schedule(ABC):
    """A noise schedule that is completely described by its `name` and its dataclass fields.

    Attributes:
        name: Name of the type of schedule, a key of `SCHEDULES`.
    """

    name: str

    @abstractmethod
    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """Return the level at times `t` in [0, 1], in float64 and with the shape of `t`."""

    @abstractmethod
    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """Return the level at which the noise-to-signal ratio σ/α of the schedule is `ratio`."""

    @abstractmethod
    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Draw random times for training.

        Args:
            count: Number of times.
            generator: One generator, or one generator per time.
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
        """Return a dictionary from which `schedule_from_dict` rebuilds the schedule."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


class DiscreteSchedule(Schedule):
    """A variance-preserving schedule (α² + σ² = 1) of T steps with variances β_k (Ho et al. 2020).

    Step k is at time t = k/T, where α_t² = ᾱ_k = Π_{i≤k}(1 − β_i). Between two steps, log ᾱ is
    interpolated linearly, so samplers may use any level.

    Attributes:
        steps: Number of steps T.
    """

    steps: int

    @abstractmethod
    def betas(self) -> Float64[Tensor, " steps"]:
        """Return the variances β₁ … β_T."""

    @cached_property
    def log_alpha_bar(self) -> Float64[Tensor, " knots"]:
        """The values log ᾱ₀ … log ᾱ_T, with log ᾱ₀ = 0."""
        return torch.cat(
            [
                torch.zeros(1, dtype=torch.float64, device="cpu"),
                torch.log1p(-self.betas()).cumsum(0),
            ]
        )

    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """Return the level at times `t`; see `Schedule.__call__`."""
        table = self.log_alpha_bar.to(t.device)
        position = t.double() * self.steps
        below = position.floor().long().clamp(0, self.steps - 1)
        log_alpha_bar = torch.lerp(table[below], table[below + 1], position - below)
        return Level(torch.exp(log_alpha_bar / 2), torch.expm1(log_alpha_bar).abs().sqrt())

    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """Return the level α = 1/√(1 + ratio²) and σ = ratio · α."""
        alpha = torch.rsqrt(1 + ratio.double() ** 2)
        return Level(alpha, ratio * alpha)

    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Draw times k/T, where k is uniform on 1 … T (Ho et al. 2020, Algorithm 1)."""
        step = (uniform((count,), generator, torch.float64) * self.steps).floor() + 1
        return step / self.steps

    @property
    def trained_times(self) -> tuple[float, float]:
        """Return the latest time 1 and the earliest time 1/T."""
        return 1.0, 1 / self.steps

    def _warn_unless_noise(self) -> None:
        check_whole("the number of a schedule's steps", self.steps, 1, MOST_STEPS)
        final = math.exp(self.log_alpha_bar[-1])
        if final >= LARGEST_FINAL_ALPHA_BAR:
            warnings.warn(
                f"schedule {self.name!r} ends at ᾱ = {final:.2g}, not in noise (expected ᾱ below "
                f"{LARGEST_FINAL_ALPHA_BAR}): sampling starts from more noise than training used",
                stacklevel=4,
            )


@dataclass(frozen=True)
class Linear(DiscreteSchedule):
    """The schedule in which β rises linearly (Ho et al. 2020, section 4).

    Args:
        steps: Number of steps T.
        beta_first: Variance β₁ of the first step.
        beta_last: Variance β_T of the last step.

    Raises:
        InputError: If `steps` is below 1, or if 0 < β₁ ≤ β_T < 1 is false.
    """

    name = "linear"
    steps: int = 1000
    beta_first: float = 1e-4
    beta_last: float = 0.02

    def __post_init__(self) -> None:
        _require(self.steps >= 1, f"a schedule needs at least 1 step, got {self.steps}")
        _require(
            0 < self.beta_first <= self.beta_last < 1,
            "beta_first and beta_last must satisfy 0 < beta_first <= beta_last < 1, "
            f"got {self.beta_first} and {self.beta_last}",
        )
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """Return the equally spaced variances β₁ … β_T."""
        return _spaced(self.beta_first, self.beta_last, self.steps)


@dataclass(frozen=True)
class LuoHuReleasedCode(DiscreteSchedule):
    """The linear schedule of the code released with Luo & Hu (CVPR 2021): T = 100, β_T = 0.02.

    The schedule ends at ᾱ_T = 0.36, far from pure noise, and warns that it does not end in noise.
    Use the schedule only to reproduce the released code.

    Args:
        steps: Number of steps T.
    """

    name = "luo-hu-released-code"
    steps: int = 100

    def __post_init__(self) -> None:
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """Return the equally spaced variances β₁ … β_T."""
        return _spaced(1e-4, 0.02, self.steps)


@dataclass(frozen=True)
class Cosine(DiscreteSchedule):
    """The schedule in which ᾱ follows cos² (Nichol & Dhariwal 2021, equation 17).

    Args:
        steps: Number of steps T.
        offset: Offset s of the paper, which prevents very small β near t = 0.
        beta_max: Largest β. Greater values are clipped to `beta_max`.

    Raises:
        InputError: If a number is out of range.
    """

    name = "cosine"
    steps: int = 1000
    offset: float = 0.008
    beta_max: float = 0.999

    def __post_init__(self) -> None:
        _require(self.steps >= 1, f"a schedule needs at least 1 step, got {self.steps}")
        check_real("the offset of a schedule", self.offset, 0, 1)
        check_real("beta_max", self.beta_max, 0, 1)
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """Return the variances β_k = 1 − ᾱ_k/ᾱ_{k−1}, clipped to `beta_max`."""
        t = _spaced(0.0, 1.0, self.steps + 1)
        alpha_bar = torch.cos((t + self.offset) / (1 + self.offset) * math.pi / 2) ** 2
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=self.beta_max)


@dataclass(frozen=True)
class GeometricVarianceExploding(Schedule):
    """The schedule α = 1, σ_t = σ_min (σ_max/σ_min)^t (Song & Ermon 2019; Song et al. 2021).

    Only this schedule works on SE(3). The schedule ends in noise if σ_max is large compared with
    the spread of the data.

    Args:
        sigma_min: σ at t = 0.
        sigma_max: σ at t = 1.

    Raises:
        InputError: If 0 < σ_min < σ_max is false.
    """

    name = "geometric"
    sigma_min: float
    sigma_max: float

    def __post_init__(self) -> None:
        _require(
            0 < self.sigma_min < self.sigma_max,
            "sigma_min and sigma_max must satisfy 0 < sigma_min < sigma_max, "
            f"got {self.sigma_min} and {self.sigma_max}",
        )
        check_real("sigma_max", self.sigma_max, 0, 1e30)

    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """Return the level at times `t`; see `Schedule.__call__`."""
        sigma = self.sigma_min * (self.sigma_max / self.sigma_min) ** t.double()
        return Level(torch.ones_like(sigma), sigma)

    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """Return the level α = 1 and σ = ratio."""
        return Level(torch.ones_like(ratio.double()), ratio.double())

    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Draw times uniformly on [0, 1), so that σ is log-uniform."""
        return uniform((count,), generator, torch.float64)

    @property
    def trained_times(self) -> tuple[float, float]:
        """Return the latest time 1 and the earliest time 0."""
        return 1.0, 0.0


SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (Linear, LuoHuReleasedCode, Cosine, GeometricVarianceExploding)
}


def schedule_from_dict(description: dict[str, Any]) -> Schedule:
    """Build a schedule from a dictionary that `Schedule.as_dict` returned.

    Args:
        description: `name` and the dataclass fields of the schedule.

    Raises:
        InputError: If the name is not a key of `SCHEDULES`.
    """
    fields = dict(description)
    name = fields.pop("name")
    _require(name in SCHEDULES, f"a schedule's name must be in {sorted(SCHEDULES)}, got {name!r}")
    return SCHEDULES[name](**fields)


def uniform_levels(schedule: Schedule, steps: int) -> Level:
    """Return `steps + 1` levels at equally spaced times from t = 1 down to t = 0.

    Args:
        schedule: Schedule that converts times to levels.
        steps: Number of steps, at least 1.

    Raises:
        InputError: If `steps` is below 1.
    """
    _require(steps >= 1, f"sampling needs at least 1 step, got {steps}")
    return schedule(torch.linspace(1, 0, steps + 1, dtype=torch.float64))


def geometric_levels(schedule: Schedule, steps: int, largest: float, smallest: float) -> Level:
    """Return `steps` levels with equally spaced log(σ/α), and the clean level (α, σ) = (1, 0).

    Every step multiplies the noise-to-signal ratio σ/α by one common factor, so with many steps
    every step is small. In contrast, the last steps of `uniform_levels` are large for any number of
    steps.

    Args:
        schedule: Schedule that converts a ratio σ/α to a level.
        steps: Number of steps, at least 2.
        largest: σ/α of the first level.
        smallest: σ/α of the last noisy level.

    Raises:
        InputError: If `steps` is below 2, or if 0 < smallest < largest is false.
    """
    return _spaced_levels(schedule, steps, largest, smallest, torch.log, torch.exp)


def karras_levels(
    schedule: Schedule, steps: int, largest: float, smallest: float, rho: float = 7.0
) -> Level:
    """Return `steps` levels with equally spaced (σ/α)^{1/ρ}, and the clean level (1, 0).

    The formula is equation 5 of Karras et al. 2022, applied to the noise-to-signal ratio σ/α. The
    function therefore works for variance-preserving schedules, too.

    Args:
        schedule: Schedule that converts a ratio σ/α to a level.
        steps: Number of steps, at least 2.
        largest: σ/α of the first level.
        smallest: σ/α of the last noisy level.
        rho: Exponent ρ. A larger ρ places more levels at small noise.

    Raises:
        InputError: If `steps` is below 2, or if 0 < smallest < largest is false.
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
    """Return levels with equally spaced values of `warp(σ/α)`, and the clean level."""
    _require(steps >= 2, f"sampling with spaced levels needs at least 2 steps, got {steps}")
    _require(
        0 < smallest < largest,
        f"the noise levels must satisfy 0 < smallest < largest, got {smallest} and {largest}",
    )
    ends = warp(torch.tensor([largest, smallest], dtype=torch.float64))
    ratio = unwarp(torch.lerp(ends[0], ends[1], torch.linspace(0, 1, steps, dtype=torch.float64)))
    return schedule.at_noise_to_signal(torch.cat([ratio, ratio.new_zeros(1)]))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)


def _spaced(first: float, last: float, count: int) -> Float64[Tensor, " count"]:
    """Return equally spaced numbers on the CPU, whatever the default device is.

    While a model is built without memory, torch's default device is "meta", which has no numbers.
    """
    return torch.linspace(first, last, count, dtype=torch.float64, device="cpu")

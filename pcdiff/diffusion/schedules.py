"""Noise schedules: t ↦ (α_t, σ_t), and nothing else.

Time runs from 0 (clean) to 1 (noise) in every schedule; a point at time t is x_t = α_t x₀ ⊕ σ_t ε.
Levels are computed in float64, because differences of nearly equal α² appear in the posterior.
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
"""A schedule that leaves more signal than this at t = 1 does not end in noise."""


class Level(NamedTuple):
    """The signal coefficient α and the noise level σ of one or more times, of one shape."""

    alpha: Tensor
    sigma: Tensor

    def each(self) -> Iterator[Level]:
        """The levels along the first axis, one by one."""
        return (Level(alpha, sigma) for alpha, sigma in zip(self.alpha, self.sigma, strict=True))

    def over_batch(self, x: Tensor, point_ndim: int) -> Level:
        """This one level for each point of the batch `x`, in its type and on its device."""
        batch = x.shape[: x.ndim - point_ndim]
        return Level(*(value.to(x).expand(batch) for value in self))


class Schedule(ABC):
    """A noise schedule. `name` and the fields of the dataclass describe it completely."""

    name: str

    @abstractmethod
    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """The level at times `t` in [0, 1], in float64 and of the shape of `t`."""

    @abstractmethod
    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """The level of this family at which σ/α equals `ratio`."""

    @abstractmethod
    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Times to train at."""

    @property
    @abstractmethod
    def trained_times(self) -> tuple[float, float]:
        """The latest and the earliest time that `random_times` draws."""

    def trained_ratios(self) -> tuple[float, float]:
        """The largest and the smallest noise-to-signal ratio σ/α that training sees."""
        alpha, sigma = self(torch.tensor(self.trained_times, dtype=torch.float64))
        largest, smallest = (sigma / alpha).tolist()
        return largest, smallest

    def as_dict(self) -> dict[str, Any]:
        """The description that `schedule_from_dict` reads back."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


class DiscreteSchedule(Schedule):
    """Variance preserving, α² + σ² = 1, from T steps of variance β_k (Ho et al. 2020, section 2).

    t = k/T is step k: α_t² = ᾱ_k = Π_{i≤k}(1 − β_i). Between two steps β is constant, that is,
    log ᾱ is linear, so that samplers may stop at any level.
    """

    steps: int

    @abstractmethod
    def betas(self) -> Float64[Tensor, " steps"]:
        """β₁ … β_T."""

    @cached_property
    def log_alpha_bar(self) -> Float64[Tensor, " knots"]:
        """log ᾱ₀ … log ᾱ_T, beginning with 0."""
        return torch.cat(
            [torch.zeros(1, dtype=torch.float64), torch.log1p(-self.betas()).cumsum(0)]
        )

    def __call__(self, t: Float[Tensor, "*shape"]) -> Level:
        """As `Schedule.__call__`."""
        table = self.log_alpha_bar.to(t.device)
        position = t.double() * self.steps
        below = position.floor().long().clamp(0, self.steps - 1)
        log_alpha_bar = torch.lerp(table[below], table[below + 1], position - below)
        return Level(torch.exp(log_alpha_bar / 2), torch.expm1(log_alpha_bar).abs().sqrt())

    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """α = 1/√(1 + ratio²), σ = ratio · α."""
        alpha = torch.rsqrt(1 + ratio.double() ** 2)
        return Level(alpha, ratio * alpha)

    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """k/T with k uniform on 1 … T (Ho et al. 2020, Algorithm 1)."""
        step = (uniform((count,), generator, torch.float64) * self.steps).floor() + 1
        return step / self.steps

    @property
    def trained_times(self) -> tuple[float, float]:
        """1 and 1/T."""
        return 1.0, 1 / self.steps

    def _warn_unless_noise(self) -> None:
        final = math.exp(self.log_alpha_bar[-1])
        if final >= LARGEST_FINAL_ALPHA_BAR:
            warnings.warn(
                f"schedule {self.name!r} ends at ᾱ = {final:.2g}, not in noise "
                f"(expected below {LARGEST_FINAL_ALPHA_BAR}): samples start off the model's law",
                stacklevel=4,
            )


@dataclass(frozen=True)
class Linear(DiscreteSchedule):
    """β rises linearly from `beta_first` to `beta_last` (Ho et al. 2020, section 4)."""

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
        """β₁ … β_T, equally spaced."""
        return torch.linspace(self.beta_first, self.beta_last, self.steps, dtype=torch.float64)


@dataclass(frozen=True)
class LuoHuReleasedCode(DiscreteSchedule):
    """The linear schedule of the code released with Luo & Hu (CVPR 2021): T = 100, β_T = 0.02.

    It leaves ᾱ_T = 0.36, far from noise, and says so; use it only to reproduce that code.
    """

    name = "luo-hu-released-code"
    steps: int = 100

    def __post_init__(self) -> None:
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """β₁ … β_T, equally spaced."""
        return torch.linspace(1e-4, 0.02, self.steps, dtype=torch.float64)


@dataclass(frozen=True)
class Cosine(DiscreteSchedule):
    """ᾱ follows cos² (Nichol & Dhariwal 2021, equation 17), with β at most `beta_max`."""

    name = "cosine"
    steps: int = 1000
    offset: float = 0.008
    beta_max: float = 0.999

    def __post_init__(self) -> None:
        _require(self.steps >= 1, f"a schedule needs at least 1 step, got {self.steps}")
        self._warn_unless_noise()

    def betas(self) -> Float64[Tensor, " steps"]:
        """β_k = 1 − ᾱ_k/ᾱ_{k−1}, clipped."""
        t = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)
        alpha_bar = torch.cos((t + self.offset) / (1 + self.offset) * math.pi / 2) ** 2
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=self.beta_max)


@dataclass(frozen=True)
class GeometricVarianceExploding(Schedule):
    """α = 1 and σ_t = σ_min (σ_max/σ_min)^t (Song & Ermon 2019; Song et al. 2021, appendix C).

    The only family that SE(3) admits. It ends in noise if σ_max is large against the data.
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
        """As `Schedule.__call__`."""
        sigma = self.sigma_min * (self.sigma_max / self.sigma_min) ** t.double()
        return Level(torch.ones_like(sigma), sigma)

    def at_noise_to_signal(self, ratio: Float[Tensor, "*shape"]) -> Level:
        """α = 1, σ = ratio."""
        return Level(torch.ones_like(ratio.double()), ratio.double())

    def random_times(self, count: int, generator: Generator) -> Float64[Tensor, " count"]:
        """Uniform on [0, 1): σ log-uniform."""
        return uniform((count,), generator, torch.float64)

    @property
    def trained_times(self) -> tuple[float, float]:
        """1 and 0."""
        return 1.0, 0.0


SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (Linear, LuoHuReleasedCode, Cosine, GeometricVarianceExploding)
}


def schedule_from_dict(description: dict[str, Any]) -> Schedule:
    """The schedule that `Schedule.as_dict` described.

    Raises:
        InputError: if the name is not one of `SCHEDULES`.
    """
    fields = dict(description)
    name = fields.pop("name")
    _require(name in SCHEDULES, f"schedule {name!r} is not one of {sorted(SCHEDULES)}")
    return SCHEDULES[name](**fields)


def uniform_levels(schedule: Schedule, steps: int) -> Level:
    """`steps + 1` levels at equally spaced times from t = 1 down to t = 0, noisiest first."""
    _require(steps >= 1, f"sampling needs at least 1 step, got {steps}")
    return schedule(torch.linspace(1, 0, steps + 1, dtype=torch.float64))


def geometric_levels(schedule: Schedule, steps: int, largest: float, smallest: float) -> Level:
    """`steps` levels with log(σ/α) equally spaced, then the clean level (α, σ) = (1, 0).

    Every step multiplies the signal-to-noise ratio by one factor, so that a chain of many steps is
    a fine one everywhere, which the last steps of `uniform_levels` are not, however many they are.

    Args:
        schedule: the family that turns a ratio into a level.
        steps: number of steps, at least 2.
        largest: σ/α to begin with.
        smallest: σ/α of the last noisy level.
    """
    return _spaced_levels(schedule, steps, largest, smallest, torch.log, torch.exp)


def karras_levels(
    schedule: Schedule, steps: int, largest: float, smallest: float, rho: float = 7.0
) -> Level:
    """`steps` levels with (σ/α)^{1/ρ} equally spaced, then the clean level (α, σ) = (1, 0).

    Karras et al. 2022, equation 5, in terms of the noise-to-signal ratio, so that it serves
    variance-preserving schedules too.

    Args:
        schedule: the family that turns a ratio into a level.
        steps: number of steps, at least 2.
        largest: σ/α to begin with.
        smallest: σ/α of the last noisy level.
        rho: ρ; larger values spend more steps at small noise.
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
    """Levels whose warped ratios are equally spaced, then the clean level."""
    _require(steps >= 2, f"sampling with spaced levels needs at least 2 steps, got {steps}")
    _require(0 < smallest < largest, f"expected 0 < smallest < largest, got {smallest}, {largest}")
    ends = warp(torch.tensor([largest, smallest], dtype=torch.float64))
    ratio = unwarp(torch.lerp(ends[0], ends[1], torch.linspace(0, 1, steps, dtype=torch.float64)))
    return schedule.at_noise_to_signal(torch.cat([ratio, ratio.new_zeros(1)]))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise InputError(message)

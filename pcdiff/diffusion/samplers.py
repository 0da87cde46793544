"""Samplers: each defines one `step`, and `sample` loops over the levels.

The loop yields its states, so the caller can record trajectories or show progress:

    for state in sample(Multistep(), model, manifold, x, levels, condition, generator):
        ...
    x = state.x
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pcdiff.diffusion.losses import Model
from pcdiff.diffusion.parametrization import denoised_from_noise, score_from_noise
from pcdiff.diffusion.process import posterior, posterior_deviation, transition
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.randomness import Generator

Predict = Callable[[Tensor, Level], Tensor]
"""A `Model` with a fixed condition and one level for the whole batch."""


@dataclass(frozen=True)
class State:
    """The state of a sampler between two steps.

    Attributes:
        x: Points, `(batch…, *point)`.
        level: α and σ of the points, without axes, in float64 on the CPU.
        denoised: Estimate x̂₀ of the step that led to this state; None before the first step.
        previous: Level at which `denoised` was estimated; None before the first step.
    """

    x: Tensor
    level: Level
    denoised: Tensor | None = None
    previous: Level | None = None


class Sampler(ABC):
    """A method that moves points from one level to a less noisy one."""

    @abstractmethod
    def step(
        self,
        manifold: Manifold,
        predict: Predict,
        state: State,
        target: Level,
        generator: Generator | None,
    ) -> State:
        """Take one step from `state` to the less noisy level `target`.

        Args:
            manifold: Space of the points.
            predict: Noise predictor.
            state: State to start from.
            target: Level to reach, without axes.
            generator: One generator, or one per sample; None if the step is deterministic.

        Returns:
            The state at `target`.
        """


def sample(
    sampler: Sampler,
    model: Model,
    manifold: Manifold,
    x: Tensor,
    levels: Level,
    condition: Any = None,
    generator: Generator | None = None,
) -> Iterator[State]:
    """Run `sampler` over `levels` and yield the state at each level, including the initial state.

    Args:
        sampler: Sampler that takes the steps.
        model: Noise predictor.
        manifold: Space of the points.
        x: Points at `levels[0]`, `(batch…, *point)`, for example from `manifold.random`.
        levels: α and σ along one axis, noisiest first, in float64 on the CPU, whatever the device
            of the points. Samplers read their values, which on a GPU would make the host wait.
        condition: Condition that is passed to the model unchanged.
        generator: One generator, or one per sample; a deterministic sampler needs none.

    Yields:
        The state at each level.
    """

    def predict(x: Tensor, level: Level) -> Tensor:
        return model(x, level.over_batch(x, manifold.point_ndim), condition)

    each = levels.each()
    state = State(x, next(each))
    yield state
    for target in each:
        state = sampler.step(manifold, predict, state, target, generator)
        yield state


def transfer(
    manifold: Manifold, x: Tensor, denoised: Tensor, level: Level, target: Level
) -> Tensor:
    """x' = α' x̂₀ ⊕ (σ'/σ)·local(α x̂₀, x): keep the direction of the noise and change its size.

    On ℝⁿ this is DDIM with η = 0 (Song et al. 2021, equation 12) and, with an extrapolated x̂₀, the
    update of DPM-Solver++. On SE(3) it is D·Exp((σ'/σ)·Log(D⁻¹H)).
    """
    direction = manifold.local(manifold.contract(level.alpha, denoised), x)
    ratio = manifold.over_tangent(target.sigma / level.sigma)
    return manifold.retract(manifold.contract(target.alpha, denoised), ratio * direction)


def langevin_step(
    manifold: Manifold,
    x: Tensor,
    score: Tensor,
    step_size: Tensor | float,
    generator: Generator | None,
) -> Tensor:
    """Take an unadjusted Langevin step in the body frame: x ← x ⊕ (½η² S ∇log p + η S^{1/2} ε).

    Args:
        manifold: Space of the points, with the metric S.
        x: Points, `(batch…, *point)`.
        score: ∇log p at the points, a covector, `(batch…, *tangent)`.
        step_size: η, dimensionless.
        generator: One generator, or one per sample.
    """
    drift = manifold.from_unit(manifold.from_unit(score))
    noise = manifold.tangent_noise(x, generator)
    return manifold.retract(x, 0.5 * step_size**2 * drift + step_size * noise)


@dataclass(frozen=True)
class Ancestral(Sampler):
    """Ancestral sampling (Ho et al. 2020, Algorithm 2) over any subset of the steps.

    Args:
        variance: Variance of a step: "posterior" for σ_q² (β̃ in the paper, optimal for a point
            mass) or "beta" for σ²_{t|s} (β in the paper, optimal for x₀ ~ N(0, I)).

    Raises:
        InputError: If `variance` is neither of the two.
    """

    variance: str = "posterior"

    def __post_init__(self) -> None:
        if self.variance not in ("posterior", "beta"):
            raise InputError(f"variance must be 'posterior' or 'beta', got {self.variance!r}")

    def step(
        self,
        manifold: Manifold,
        predict: Predict,
        state: State,
        target: Level,
        generator: Generator | None,
    ) -> State:
        """See `Sampler.step`."""
        noise = predict(state.x, state.level)
        denoised = denoised_from_noise(manifold, state.x, noise, state.level)
        x, deviation = posterior(manifold, state.x, denoised, state.level, target)
        if target.sigma > 0:  # Algorithm 2 adds no noise in the last step
            if self.variance == "beta":
                deviation = transition(state.level, target)[1].sqrt()
            x = x + deviation * manifold.tangent_noise(x, generator)
        return State(x, target, denoised, state.level)


@dataclass(frozen=True)
class DDIM(Sampler):
    """DDIM (Song et al. 2021, equations 12 and 16).

    On a curved manifold the noise for η > 0 is added by retraction, which is correct to leading
    order.

    Args:
        eta: η: 0 is deterministic, 1 is ancestral sampling with the posterior variance.

    Raises:
        InputError: If `eta` is not between 0 and 1.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise InputError(f"eta must be between 0 and 1, got {self.eta}")

    def step(
        self,
        manifold: Manifold,
        predict: Predict,
        state: State,
        target: Level,
        generator: Generator | None,
    ) -> State:
        """See `Sampler.step`."""
        noise = predict(state.x, state.level)
        denoised = denoised_from_noise(manifold, state.x, noise, state.level)
        deviation = self.eta * posterior_deviation(state.level, target)
        kept = Level(target.alpha, (target.sigma**2 - deviation**2).clamp(min=0).sqrt())
        x = transfer(manifold, state.x, denoised, state.level, kept)
        if deviation > 0:
            x = manifold.retract(x, deviation * manifold.tangent_noise(x, generator))
        return State(x, target, denoised, state.level)


@dataclass(frozen=True)
class Multistep(Sampler):
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2): second order, one evaluation per step.

    x̂₀ is extrapolated to the middle of the step in λ = log(α/σ), along the geodesic through its
    last two estimates. The first step is of first order, and so is a last step to σ = 0, where λ is
    infinite.
    """

    def step(
        self,
        manifold: Manifold,
        predict: Predict,
        state: State,
        target: Level,
        generator: Generator | None,
    ) -> State:
        """See `Sampler.step`."""
        noise = predict(state.x, state.level)
        denoised = denoised_from_noise(manifold, state.x, noise, state.level)
        extrapolated = denoised
        if state.denoised is not None and state.previous is not None and target.sigma > 0:
            before, now, after = (
                torch.log(level.alpha / level.sigma)
                for level in (state.previous, state.level, target)
            )
            beyond = 1 + (after - now) / (2 * (now - before))
            along = manifold.local(state.denoised, denoised)
            extrapolated = manifold.retract(state.denoised, beyond * along)
        x = transfer(manifold, state.x, extrapolated, state.level, target)
        return State(x, target, denoised, state.level)


@dataclass(frozen=True)
class AnnealedLangevin(Sampler):
    """Langevin moves at each level (Song & Ermon 2019, Algorithm 1), alone or as a corrector.

    With a predictor this is predictor–corrector sampling (Song et al. 2021, Algorithm 1). Without
    one, points are only rescaled from level to level, so the levels must be close to each other.

    Args:
        moves: Number of Langevin moves at each level.
        step_ratio: η/σ, the step size divided by the noise level.
        predictor: Sampler that takes the points to the next level; None to only rescale them.
    """

    moves: int = 1
    step_ratio: float = 0.3
    predictor: Sampler | None = None

    def step(
        self,
        manifold: Manifold,
        predict: Predict,
        state: State,
        target: Level,
        generator: Generator | None,
    ) -> State:
        """See `Sampler.step`."""
        if self.predictor is None:
            x = manifold.contract(target.alpha / state.level.alpha, state.x)
            moved = State(x, target, state.denoised, state.previous)
        else:
            moved = self.predictor.step(manifold, predict, state, target, generator)
        if target.sigma == 0:
            return moved
        x = moved.x
        for _ in range(self.moves):
            score = score_from_noise(manifold, predict(x, target), target)
            x = langevin_step(manifold, x, score, self.step_ratio * target.sigma, generator)
        return State(x, target, moved.denoised, moved.previous)

"""Samplers: a `Sampler` defines one `step`, and the function `sample` loops over the levels.

`sample` yields the state at each level, so the caller can record trajectories or show progress:

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
"""A `Model` with a fixed condition, which takes one level for the whole batch."""


@dataclass(frozen=True)
class State:
    """The state of a sampler between two steps.

    Attributes:
        x: Points, `(batch…, *point)`.
        level: Level of the points, without axes, in float64 on the CPU.
        denoised: Estimate x̂₀ of the clean points in the latest step; None before the first step.
        previous: Level at which `denoised` was estimated; None before the first step.
    """

    x: Tensor
    level: Level
    denoised: Tensor | None = None
    previous: Level | None = None


class Sampler(ABC):
    """A method that moves points from one level to a less noisy level."""

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
            generator: One generator, or one generator per sample; None for a deterministic step.

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
    """Run `sampler` over `levels` and yield the state at each level, including the first level.

    Args:
        sampler: Sampler that takes the steps.
        model: Noise predictor.
        manifold: Space of the points.
        x: Points at `levels[0]`, `(batch…, *point)`, for example from `manifold.random`.
        levels: Levels along one axis, noisiest first, in float64 on the CPU, even if the points are
            on a GPU. Samplers read the values of the levels, and a read from a GPU would make the
            CPU wait.
        condition: Condition that is passed to the model unchanged.
        generator: One generator, or one generator per sample; None for a deterministic sampler.

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
    """Move points to the level `target`: keep the direction of the noise and change its size.

    The result is x' = α' x̂₀ ⊕ (σ'/σ)·local(α x̂₀, x), where ⊕ is `retract`, and α' and σ' belong to
    `target`. On ℝⁿ, the formula is DDIM with η = 0 (Song et al. 2021, "Denoising diffusion implicit
    models", equation 12). With an extrapolated x̂₀, the formula is the update of DPM-Solver++.
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
    """Take an unadjusted Langevin step: x ← x ⊕ (½η² S ∇log p + η S^{1/2} ε), with ε ~ N(0, I).

    Args:
        manifold: Space of the points, with the metric S.
        x: Points, `(batch…, *point)`.
        score: Score ∇log p at the points, a covector, `(batch…, *tangent)`.
        step_size: Step size η, dimensionless.
        generator: One generator, or one generator per sample.
    """
    drift = manifold.from_unit(manifold.from_unit(score))
    noise = manifold.tangent_noise(x, generator)
    return manifold.retract(x, 0.5 * step_size**2 * drift + step_size * noise)


@dataclass(frozen=True)
class Ancestral(Sampler):
    """Ancestral sampling (Ho et al. 2020, Algorithm 2) over any subset of the steps.

    Args:
        variance: Variance of a step. "posterior" means σ_q² (β̃ in the paper, optimal if all data
            are one point), and "beta" means σ²_{t|s} (β in the paper, optimal for x₀ ~ N(0, I)).

    Raises:
        InputError: If `variance` is neither "posterior" nor "beta".
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
        """Take one step to `target`; see `Sampler.step`."""
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
    """The sampler DDIM (Song et al. 2021, "Denoising diffusion implicit models").

    The formulas are equations 12 and 16 of the paper. On a curved manifold, the noise for η > 0 is
    added by retraction, which is correct to leading order.

    Args:
        eta: Parameter η of the paper, from 0 (deterministic sampler) to 1 (ancestral sampling with
            the posterior variance).

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
        """Take one step to `target`; see `Sampler.step`."""
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
    """The sampler DPM-Solver++(2M), which is of second order (Lu et al. 2022, Algorithm 2).

    Each step evaluates the model once and extrapolates the estimate x̂₀ along the geodesic through
    the last two estimates, to the middle of the step in λ = log(α/σ). The first step is of first
    order. A last step to σ = 0 is also of first order, because λ is infinite at σ = 0.
    """

    def step(
        self,
        manifold: Manifold,
        predict: Predict,
        state: State,
        target: Level,
        generator: Generator | None,
    ) -> State:
        """Take one step to `target`; see `Sampler.step`."""
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

    With a predictor, the method is predictor–corrector sampling (Song et al. 2021, "Score-based
    generative modeling through stochastic differential equations", Algorithm 1). Without a
    predictor, points are only rescaled from level to level, so adjacent levels must be close.

    Args:
        moves: Number of Langevin moves at each level.
        step_ratio: Step size η divided by the noise level σ.
        predictor: Sampler that moves the points to the next level; None to only rescale the
            points.
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
        """Take one step to `target`; see `Sampler.step`."""
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

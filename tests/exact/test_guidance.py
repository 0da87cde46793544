"""Temperature and guidance of Gaussian data in closed form, and stationary laws on SO(3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from pcdiff.diffusion.guidance import (
    BlurrableCost,
    ClassifierFree,
    Guided,
    Tempered,
    blurred_costs,
    cost_list,
    summed_cost,
)
from pcdiff.diffusion.parametrization import score_from_noise
from pcdiff.diffusion.samplers import AnnealedLangevin, langevin_step, sample
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level, Linear
from pcdiff.errors import InputError
from pcdiff.manifolds import SE3, SO3, Euclidean, Product, so3

LINE = Euclidean(1)
EXPLODING = GeometricVarianceExploding(0.01, 50.0)
PLACE, WIDTH = -0.4, 0.6


def spring(x: Tensor) -> Tensor:
    """The cost of a Gaussian at PLACE with the standard deviation WIDTH."""
    return ((x - PLACE) ** 2).sum(-1) / (2 * WIDTH**2)


def product(mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of the product of two Gaussian densities, the second that of `spring`."""
    precision = 1 / variance + 1 / WIDTH**2
    return (mean / variance + PLACE / WIDTH**2) / precision, 1 / precision


def elsewhere(x: Tensor, level: Level, condition: Any) -> Tensor:
    """The exact model of Gaussian data whose mean is the condition."""
    alpha, sigma = (value[:, None] for value in level)
    return sigma * (x - alpha * condition) / (alpha**2 * 0.25 + sigma**2)


def wrapped(name: str, gaussian: Any) -> tuple[Any, Any]:
    """A model and the mean and variance of its law, as a function of those of x_t."""
    tempered = Tempered(gaussian.noise, 2.0)
    return {
        "tempered": (tempered, lambda m, v: (m, 2 * v)),
        "cold": (Tempered(gaussian.noise, 0.3), lambda m, v: (m, 0.3 * v)),
        "guided": (Guided(gaussian.noise, LINE, [spring]), product),
        "two costs": (
            Guided(gaussian.noise, LINE, [lambda x: spring(x) / 4, lambda x: 3 * spring(x) / 4]),
            product,
        ),
        "both": (Guided(tempered, LINE, [spring]), lambda m, v: product(m, 2 * v)),
        "classifier-free": (
            lambda x, level, _: ClassifierFree(elsewhere, 0.5, -1.0)(x, level, 0.7),
            lambda m, v: (1.5 * m - 0.5 * m / 0.7 * -1.0, v),
        ),
    }[name]


@pytest.mark.parametrize(
    "name", ["tempered", "cold", "guided", "two costs", "both", "classifier-free"]
)
class TestGaussianData:
    @pytest.mark.parametrize("schedule", [Linear(), EXPLODING], ids=lambda s: s.name)
    def test_noise_is_that_of_the_law_that_is_meant(
        self, name: str, schedule: Any, gaussian: Any
    ) -> None:
        """ε̂ = σ (x − mean)/variance at every level."""
        model, law = wrapped(name, gaussian)
        x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
        for ratio in (0.05, 0.5, 3.0):
            level = schedule.at_noise_to_signal(torch.full((7,), ratio, dtype=torch.float64))
            alpha, sigma = (float(value[0]) for value in level)
            mean, variance = law(alpha * gaussian.mean, alpha**2 * 0.25 + sigma**2)
            torch.testing.assert_close(model(x, level, None), sigma * (x - mean) / variance)

    def test_langevin_samples_have_its_mean_and_variance(
        self, name: str, gaussian: Any, generator: torch.Generator
    ) -> None:
        model, law = wrapped(name, gaussian)
        chains, ratio, last = 4000, 0.5, 0.5
        levels = EXPLODING.at_noise_to_signal(torch.tensor([0.8, 0.6, last], dtype=torch.float64))
        start = LINE.random((chains, 1), 1.0, generator, dtype=torch.float64)
        sampler = AnnealedLangevin(moves=60, step_ratio=ratio)
        *_, state = sample(sampler, model, LINE, start, levels, None, generator)
        mean, variance = law(gaussian.mean, 0.25 + last**2)
        # Of a Gaussian the unadjusted step inflates the variance by this factor.
        inflated = variance / (1 - (ratio * last) ** 2 / (4 * variance))
        assert abs(float(state.x.mean()) - mean) < 4.5 * math.sqrt(inflated / chains)
        assert abs(float(state.x.var()) / inflated - 1) < 4.5 * math.sqrt(2 / chains)


def test_guidance_alone_draws_from_the_cost_on_rotations(generator: torch.Generator) -> None:
    """With a uniform prior, E[θ²] under exp(−θ²/2s²) against Haar measure is 0.2660 at s = 0.3."""
    space, chains, step, spread = SO3(), 800, 0.15, 0.3
    mean = so3.exp(torch.tensor([1.2, -1.5, 1.6], dtype=torch.float64))

    def cost(at: Tensor) -> Tensor:
        return so3.log(mean.mT @ at).square().sum(-1) / (2 * spread**2)

    uniform = Guided(lambda x, level, _: space.zero_tangent(x), space, [cost])
    x = space.retract(mean, spread * space.tangent_noise(mean.expand(chains, 3, 3), generator))
    level = Level(*torch.tensor([[1.0], [0.4]], dtype=torch.float64).expand(2, chains))
    squares = []
    for move in range(50):
        score = score_from_noise(space, uniform(x, level, None), level)
        x = langevin_step(space, x, score, step, generator)
        if move >= 15 and move % 7 == 0:
            squares.append(space.local(mean, x).square().sum(-1).mean())
    corrected = float(torch.stack(squares).mean()) * (1 - step**2 / (4 * spread**2))
    assert corrected == pytest.approx(0.2660, rel=0.05)


@dataclass(eq=False)
class Recorder:
    """A cost that keeps what it was blurred by."""

    seen: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, points: Tensor) -> Tensor:
        raise AssertionError("the blurred cost is used instead")

    def blurred(self, noise_level: float, length: float) -> Any:
        self.seen.append((noise_level, length))
        return lambda points: points.flatten(1).sum(1) / (1 + noise_level)


def zero_noise(space: Any) -> Any:
    return lambda x, level, condition: space.zero_tangent(x)


class TestBlurring:
    def test_costs_are_blurred_to_the_level_of_the_points(self) -> None:
        space, cost = SE3(0.25), Recorder()
        assert isinstance(cost, BlurrableCost)
        x = torch.eye(4).expand(3, 4, 4)
        level = Level(torch.ones(3), torch.full((3,), 0.5))
        found = Guided(zero_noise(space), space, [cost])(x, level, None)
        assert cost.seen == [(0.5, 0.25)]
        # d/dρ of the sum of a pose's entries is 1 per axis; σ ℓ/(1 + σ) is left.
        torch.testing.assert_close(found[:, :3], torch.full((3, 3), 0.5 * 0.25 / 1.5))

    def test_other_costs_stay_as_they_are(self) -> None:
        assert blurred_costs([spring], 0.5, 1.0) == [spring]

    def test_needs_one_noise_level(self) -> None:
        x, level = torch.zeros(2, 1), Level(torch.ones(2), torch.tensor([0.1, 0.4]))
        guided = Guided(zero_noise(LINE), LINE, [Recorder()])
        with pytest.raises(InputError, match=r"equal noise levels, got levels from 0\.1 to 0\.4"):
            guided(x, level, None)

    def test_needs_one_length(self) -> None:
        space = Product((SE3(0.1), SE3(0.2)), ((4, 4), (4, 4)))
        x, level = torch.eye(4).flatten().repeat(2)[None], Level(torch.ones(1), torch.ones(1))
        with pytest.raises(InputError, match=r"must have equal lengths, got \[0\.1, 0\.2\]"):
            Guided(zero_noise(space), space, [Recorder()])(x, level, None)


class TestCosts:
    LEVEL = Level(torch.ones(3), torch.full((3,), 0.5))

    def test_frame_maps_points_to_those_of_the_costs(self) -> None:
        x = torch.linspace(-1, 1, 3)[:, None]
        shifted = Guided(zero_noise(LINE), LINE, [lambda at: spring(at + 2)])
        framed = Guided(zero_noise(LINE), LINE, [spring], frame=lambda at: at + 2)
        assert framed(x, self.LEVEL, None).equal(shifted(x, self.LEVEL, None))

    def test_constant_and_absent_costs_change_nothing(self, gaussian: Any) -> None:
        x = torch.linspace(-1, 1, 3)[:, None]
        for costs in ([], [lambda at: at.new_full(at.shape[:-1], 2.0)]):
            guided = Guided(gaussian.noise, LINE, costs)
            assert guided(x, self.LEVEL, None).equal(gaussian.noise(x, self.LEVEL))

    def test_sum_is_in_order(self) -> None:
        """In float32 1e8 + 1 − 1e8 is 0; the other way round it is 1."""
        costs = [lambda x: 1e8 + 0 * x[..., 0], lambda x: 1 + 0 * x[..., 0]]
        costs.append(lambda x: -1e8 + 0 * x[..., 0])
        assert summed_cost(costs, LINE)(torch.ones(3, 1)).equal(torch.zeros(3))
        assert summed_cost([costs[0], costs[2], costs[1]], LINE)(torch.ones(3, 1)).equal(
            torch.ones(3)
        )

    def test_one_cost_or_several(self) -> None:
        assert cost_list(spring) == cost_list([spring]) == cost_list((spring,)) == [spring]

    @pytest.mark.parametrize(
        ("cost", "sentence"),
        [
            (lambda x: x.sum(), r"one number per point, shape \(3,\), got shape \(\)"),
            (lambda x: x, r"one number per point, shape \(3,\), got shape \(3, 1\)"),
            (lambda x: x[:, 0] * math.nan, r"got shape \(3,\) with NaN"),
            (lambda x: (0 * x[:, 0]).sqrt(), "gradient of guidance costs must be finite, got"),
        ],
    )
    def test_wrong_costs_are_refused(self, cost: Any, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            Guided(zero_noise(LINE), LINE, [cost])(torch.ones(3, 1), self.LEVEL, None)

    def test_wrong_arguments_are_refused(self) -> None:
        for guidance in (3, [spring, 3]):
            with pytest.raises(InputError, match="a callable or a list of callables, got 3"):
                cost_list(guidance)
        for wrong in (0.0, -1.0, math.inf, math.nan):
            with pytest.raises(InputError, match="temperature must be positive and finite"):
                Tempered(zero_noise(LINE), wrong)
        with pytest.raises(InputError, match="guidance weight must be finite, got inf"):
            ClassifierFree(zero_noise(LINE), math.inf)


def test_classifier_free_weight_zero_is_the_conditional_model() -> None:
    x, level = torch.linspace(-1, 1, 3)[:, None], TestCosts.LEVEL
    found = ClassifierFree(elsewhere, 0.0, -1.0)(x, level, 0.7)
    torch.testing.assert_close(found, elsewhere(x, level, 0.7))
    unconditional = ClassifierFree(elsewhere, -1.0, -1.0)(x, level, 0.7)
    torch.testing.assert_close(unconditional, elsewhere(x, level, -1.0))

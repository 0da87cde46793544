"""Samplers against recursions of moments, exact flows, theoretical orders and stationary laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from pcdiff.diffusion.samplers import (
    DDIM,
    Ancestral,
    AnnealedLangevin,
    Multistep,
    Sampler,
    State,
    sample,
)
from pcdiff.diffusion.schedules import (
    Level,
    Linear,
    Schedule,
    karras_levels,
    uniform_levels,
)
from pcdiff.manifolds import SE3, SO3, Euclidean, se3, so3
from pcdiff.randomness import normal
from tests.exact.problems import (
    DETERMINISTIC,
    EXPLODING,
    LINE,
    PRESERVING,
    STOCHASTIC,
    Mixture,
    last_state,
    line_mixture,
    pose_mixture,
    rotation_mixture,
    seeded,
)

Move = tuple[float, float, float]
"""x ← a x + b + c ε, as (a, b, c)."""


def at(*steps: int) -> Level:
    return PRESERVING(torch.tensor(steps, dtype=torch.float64) / PRESERVING.steps)


def moves_of(sampler: Sampler, data: Any, level: Level, target: Level) -> list[Move]:
    """The moves of one step on Gaussian data, by the papers' formulas; noise only if c > 0."""
    (alpha, sigma), (alpha_, sigma_) = (map(float, each) for each in (level, target))
    bar, bar_ = alpha**2, alpha_**2
    beta = 1 - bar / bar_  # of one step that replaces all steps between the two levels
    slope = sigma / (bar * data.deviation**2 + 1 - bar)  # ε̂ = slope (x − α mean)

    def of_noise(along: float, noise: float, deviation: float) -> Move:
        """x ← along·x + noise·ε̂ + deviation·ε."""
        return along + noise * slope, -noise * slope * alpha * data.mean, deviation

    if isinstance(sampler, Ancestral):  # Ho et al. 2020, Algorithm 2
        variance = beta if sampler.variance == "beta" else (1 - bar_) / (1 - bar) * beta
        deviation = math.sqrt(variance) if sigma_ > 0 else 0.0
        along = 1 / math.sqrt(1 - beta)
        return [of_noise(along, -along * beta / math.sqrt(1 - bar), deviation)]
    if isinstance(sampler, DDIM):  # Song et al. 2021, equations 12 and 16
        deviation = sampler.eta * math.sqrt((1 - bar_) / (1 - bar) * beta)
        along = math.sqrt(bar_ / bar)
        kept = math.sqrt(1 - bar_ - deviation**2)
        return [of_noise(along, kept - along * math.sqrt(1 - bar), deviation)]
    assert isinstance(sampler, AnnealedLangevin)
    if sampler.predictor is None:
        first = [(alpha_ / alpha, 0.0, 0.0)]
    else:
        first = moves_of(sampler.predictor, data, level, target)
    step = sampler.step_ratio * sigma_
    pull = 0.5 * step**2 / (bar_ * data.deviation**2 + 1 - bar_)
    langevin = (1 - pull, pull * alpha_ * data.mean, step)
    return first + (sigma_ > 0) * sampler.moves * [langevin]


def moments(
    sampler: Sampler, data: Any, levels: Level, mean: float, variance: float
) -> Iterator[tuple[Level, float, float]]:
    """Mean and variance at each level after the first, by the recursion over all moves."""
    for level, target in pairwise(levels.each()):
        for along, shift, deviation in moves_of(sampler, data, level, target):
            mean, variance = along * mean + shift, along**2 * variance + deviation**2
        yield target, mean, variance


class TestGaussianData:
    """With the exact denoiser of Gaussian data every step is affine in x and in the noise."""

    @pytest.mark.parametrize("steps", [(80, 79), (200, 120), (60, 10), (1, 0), (90, 0)], ids=str)
    @pytest.mark.parametrize("sampler", [*STOCHASTIC, DDIM()], ids=str)
    def test_a_step_is_the_papers_formula(
        self, sampler: Sampler, steps: tuple[int, int], gaussian: Any
    ) -> None:
        level, target = at(*steps).each()
        x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
        found = sampler.step(LINE, gaussian.noise, State(x, level), target, seeded())
        expected, generator = x, seeded()
        for along, shift, deviation in moves_of(sampler, gaussian, level, target):
            expected = along * expected + shift
            if deviation > 0:
                expected = expected + deviation * normal(x.shape, generator, x.dtype)
        torch.testing.assert_close(found.x, expected, rtol=1e-10, atol=1e-10)
        assert found.level is target

    @pytest.mark.parametrize("sampler", [*STOCHASTIC, DDIM()], ids=str)
    def test_moments_follow_the_recursion(
        self, sampler: Sampler, gaussian: Any, generator: torch.Generator
    ) -> None:
        """With few steps each sampler has its own law, far from that of the data."""
        count, levels = 20_000, at(200, 160, 130, 100, 60, 20, 0)
        *_, (_, mean, variance) = moments(sampler, gaussian, levels, 0.0, 1.0)
        start = LINE.random((count, 1), 1.0, generator, dtype=torch.float64)
        x = last_state(sampler, gaussian.noise, LINE, start, levels, None, generator).x
        assert abs(float(x.mean()) - mean) < 4 * math.sqrt(variance / count)
        assert abs(float(x.var()) / variance - 1) < 4 * math.sqrt(2 / count)

    @pytest.mark.parametrize("sampler", [*STOCHASTIC, DDIM()], ids=str)
    def test_many_steps_draw_from_the_data(self, sampler: Sampler, gaussian: Any) -> None:
        """The same recursion over 2000 steps ends in the mean and variance of the data."""
        levels = uniform_levels(Linear(2000, 1e-5, 0.015), 2000)
        *_, (_, mean, variance) = moments(sampler, gaussian, levels, 0.0, 1.0)
        assert mean == pytest.approx(gaussian.mean, rel=0.01)
        assert variance == pytest.approx(gaussian.deviation**2, rel=0.04)

    @pytest.mark.parametrize("steps", [(80, 79, 78, 77), (200, 120, 119, 30, 1, 0)], ids=str)
    def test_ddim_with_eta_one_is_ancestral(self, steps: tuple[int, ...]) -> None:
        """With the posterior variance, the same noise gives the same path for any model."""

        def model(x: Tensor, level: Level, condition: Any) -> Tensor:
            return torch.sin(3 * x) * level.alpha[:, None, None] + 0.3 * x.mean(1, keepdim=True)

        x = torch.randn(3, 5, 3, dtype=torch.float64, generator=seeded())
        paths = [
            [
                state.x
                for state in sample(sampler, model, Euclidean(), x, at(*steps), None, seeded())
            ]
            for sampler in (DDIM(1.0), Ancestral("posterior"))
        ]
        for ddim, ancestral in zip(*paths, strict=True):
            torch.testing.assert_close(ddim, ancestral, rtol=1e-12, atol=1e-12)


def exact_flow(
    mixture: Mixture, x: Tensor, schedule: Schedule, ends: tuple[float, float]
) -> Tensor:
    """The probability-flow ODE dy/dr = S^{1/2} ε̂ in y = x/α and r = σ/α, by an adaptive solver.

    A tangent vector of a matrix group is a velocity of its matrices in the ambient space.
    """
    manifold = mixture.manifold

    def velocity(ratio: float, flat: np.ndarray) -> np.ndarray:
        y = torch.from_numpy(flat).reshape(x.shape)
        ratios = torch.full((len(x),), ratio, dtype=torch.float64)
        level = schedule.at_noise_to_signal(ratios)
        v = manifold.from_unit(mixture.noise(manifold.contract(level.alpha, y), level))
        if isinstance(manifold, SO3):
            v = y @ so3.hat(v)
        if isinstance(manifold, SE3):
            twist = torch.cat([so3.hat(v[:, 3:]), v[:, :3, None]], dim=-1)
            v = y @ torch.nn.functional.pad(twist, (0, 0, 0, 1))
        return v.flatten().numpy()

    first, last = schedule.at_noise_to_signal(torch.tensor(ends, dtype=torch.float64)).each()
    start = manifold.contract(1 / first.alpha, x).flatten().numpy()
    solution = solve_ivp(velocity, ends, start, method="DOP853", rtol=1e-8, atol=1e-9)
    end = torch.from_numpy(solution.y[:, -1]).reshape(x.shape)
    return manifold.contract(last.alpha, end)


def uniform_in_lambda(schedule: Schedule, steps: int, ends: tuple[float, float]) -> Level:
    first, last = map(math.log, ends)
    ratios = torch.linspace(first, last, steps + 1, dtype=torch.float64).exp()
    return schedule.at_noise_to_signal(ratios)


def uniform_in_root(schedule: Schedule, steps: int, ends: tuple[float, float]) -> Level:
    """Karras spacing without the clean level, which gives steps in λ of many sizes."""
    levels = karras_levels(schedule, steps + 1, *ends)
    return Level(*(value[:-1] for value in levels))


@pytest.mark.parametrize("spacing", [uniform_in_lambda, uniform_in_root])
@pytest.mark.parametrize(("sampler", "order"), [(DDIM(), 1), (Multistep(), 2)], ids=str)
class TestOrder:
    """Twice the steps divide the error by 2^order.

    The levels end in noise, because a step to σ = 0 is infinitely long in λ. The first step of a
    multistep method is of first order, but a single such step has an error of second order.
    """

    def errors_fall(self, error: Callable[[int], Tensor], order: int) -> None:
        errors = [float(error(steps).abs().max()) for steps in (20, 40, 80)]
        for coarse, fine in pairwise(errors):
            assert math.log2(coarse / fine) == pytest.approx(order, abs=0.2)
        assert errors[-1] < (0.03 if order == 1 else 1e-3)  # they approach the solution

    @pytest.mark.parametrize("schedule", [PRESERVING, EXPLODING], ids=lambda s: s.name)
    def test_gaussian_data(
        self, sampler: Sampler, order: int, spacing: Any, schedule: Schedule, gaussian: Any
    ) -> None:
        scale = schedule.at_noise_to_signal(torch.tensor(10.0)).sigma
        x = scale * torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]

        def error(steps: int) -> Tensor:
            levels = spacing(schedule, steps, (10.0, 0.05))
            first, *_, last = levels.each()
            state = last_state(sampler, gaussian.noise, LINE, x, levels)
            return state.x - gaussian.flow(x, first, last)

        self.errors_fall(error, order)

    @pytest.mark.parametrize(
        ("mixture", "schedule", "ends"),
        [
            (line_mixture, PRESERVING, (3.0, 0.1)),
            (rotation_mixture, EXPLODING, (1.0, 0.05)),
            (pose_mixture, EXPLODING, (1.0, 0.05)),
        ],
    )
    def test_mixture_on_each_space(
        self,
        sampler: Sampler,
        order: int,
        spacing: Any,
        mixture: Callable[[], tuple[Mixture, Tensor]],
        schedule: Schedule,
        ends: tuple[float, float],
    ) -> None:
        model, x = mixture()
        exact = exact_flow(model, x, schedule, ends)

        def error(steps: int) -> Tensor:
            levels = spacing(schedule, steps, ends)
            state = last_state(sampler, model.noise, model.manifold, x, levels)
            return model.manifold.local(exact, state.x)

        self.errors_fall(error, order)


def test_multistep_is_algorithm_2(gaussian: Any) -> None:
    """Lu et al. 2022: x_i = (σ_i/σ_{i−1}) x_{i−1} − α_i (e^{−h_i} − 1) D, with unequal steps h."""
    levels = at(200, 150, 140, 60)
    x = torch.tensor([[0.4], [-1.1]], dtype=torch.float64)
    states = list(sample(Multistep(), gaussian.noise, LINE, x, levels))
    lam = (levels.alpha / levels.sigma).log()
    estimates: list[Tensor] = []
    for i in range(1, 4):
        level = Level(levels.alpha[i - 1], levels.sigma[i - 1])
        estimates.append((x - level.sigma * gaussian.noise(x, level)) / level.alpha)
        step, data = lam[i] - lam[i - 1], estimates[-1]
        if i > 1:
            ratio = (lam[i - 1] - lam[i - 2]) / step
            data = (1 + 1 / (2 * ratio)) * estimates[-1] - estimates[-2] / (2 * ratio)
        x = levels.sigma[i] / level.sigma * x - levels.alpha[i] * torch.expm1(-step) * data
        torch.testing.assert_close(states[i].x, x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sampler", DETERMINISTIC, ids=str)
class TestPointMass:
    """Where the denoised point is known, a deterministic step of any length is a geodesic."""

    def test_on_flat_space(self, sampler: Sampler) -> None:
        point = torch.tensor([0.3, -2.0], dtype=torch.float64)

        def model(x: Tensor, level: Level, condition: Any) -> Tensor:
            return (x - level.alpha[:, None] * point) / level.sigma[:, None]

        x, levels = torch.tensor([[5.0, 1.0]], dtype=torch.float64), at(200, 120, 110, 0)
        direction = (x - levels.alpha[0] * point) / levels.sigma[0]
        for state, level in zip(
            sample(sampler, model, LINE, x, levels), levels.each(), strict=True
        ):
            expected = level.alpha * point + level.sigma * direction
            torch.testing.assert_close(state.x, expected, rtol=0, atol=1e-10)

    def test_on_poses(self, sampler: Sampler) -> None:
        """Slerp of the rotation and a straight line of the translation, in proportion to σ."""
        space, mixture = SE3(0.25), pose_mixture()[0]
        denoised, x = mixture.means[:1], mixture.means[1:]

        def model(x: Tensor, level: Level, condition: Any) -> Tensor:
            return -space.to_unit(space.local(x, denoised)) / level.sigma[:, None]

        ratios = torch.tensor([2.0, 0.9, 0.5, 0.1, 0.0], dtype=torch.float64)
        path = sample(sampler, model, space, x, EXPLODING.at_noise_to_signal(ratios))
        ends = torch.cat([denoised, x])[:, :3, :3].numpy()
        slerp = Slerp([0, 2], Rotation.from_matrix(ends))
        for state, sigma in zip(path, ratios.tolist(), strict=True):
            translation = torch.lerp(denoised[:, :3, 3], x[:, :3, 3], sigma / 2)
            rotation = torch.from_numpy(slerp([sigma]).as_matrix())
            expected = se3.pose(rotation, translation)
            torch.testing.assert_close(state.x, expected, rtol=0, atol=1e-13)

    def test_on_rotations(self, sampler: Sampler) -> None:
        """The start is almost half a turn from the end."""
        space, axis = SO3(), torch.tensor([[0.6, 0.0, -0.8]], dtype=torch.float64)
        point = rotation_mixture()[0].means[:1]
        x = point @ so3.exp(3.1 * axis)

        def model(x: Tensor, level: Level, condition: Any) -> Tensor:
            return -space.local(x, point) / level.sigma[:, None]

        ratios = torch.tensor([1.5, 1.2, 0.3, 0.0], dtype=torch.float64)
        path = sample(sampler, model, space, x, EXPLODING.at_noise_to_signal(ratios))
        for state, sigma in zip(path, ratios, strict=True):
            expected = point @ so3.exp(sigma / 1.5 * 3.1 * axis)
            torch.testing.assert_close(state.x, expected, rtol=0, atol=1e-13)


class TestAnnealedLangevin:
    def test_corrector_keeps_the_law_of_its_predictor(self, gaussian: Any) -> None:
        """A recursion that starts on the exact marginal stays on it, up to the known inflation.

        Unadjusted Langevin for a Gaussian of variance v is stationary at v/(1 − η²/4v), so the
        variance at each level lies between v and that.
        """
        sampler = AnnealedLangevin(2, 0.3, DDIM())
        levels = uniform_levels(Linear(), 500)
        start = float(gaussian.variance(levels)[0])
        for target, _, variance in moments(sampler, gaussian, levels, 0.0, start):
            exact, step = float(gaussian.variance(target)), 0.3 * float(target.sigma)
            inflated = exact / (1 - step**2 / (4 * exact))
            assert 0.998 * exact < variance < 1.003 * inflated

    def test_stationary_law_on_poses(self, generator: torch.Generator) -> None:
        """p ∝ exp(−(|t−t₀|²/ℓ² + θ²)/2v) at v = s² + σ², with t and θ relative to a mean pose ≠ I.

        E[θ²] = ∫θ²w/∫w with w = e^{−θ²/2v}(1 − cos θ). Here it is 10 % below the 3v of flat space.
        """
        space, chains, spread, ratio = SE3(0.25), 4000, 0.6, 0.4
        mean = pose_mixture()[0].means[1]
        model = Mixture(space, mean[None], torch.ones(1, dtype=torch.float64), spread)
        levels = EXPLODING.at_noise_to_signal(torch.tensor([0.8, 0.6, 0.5], dtype=torch.float64))
        start = mean.expand(chains, 4, 4)
        sampler = AnnealedLangevin(moves=60, step_ratio=ratio)
        x = last_state(sampler, model.noise, space, start, levels, None, generator).x

        variance = spread**2 + 0.5**2
        inflated = variance / (1 - (ratio * 0.5) ** 2 / (4 * variance))
        offset = (x[:, :3, 3] - mean[:3, 3]) / space.length
        assert (offset.mean(0).abs() < 4 * math.sqrt(inflated / chains)).all()
        assert ((offset.var(0) / inflated - 1).abs() < 4 * math.sqrt(2 / chains)).all()
        angle = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
        weight = torch.exp(-(angle**2) / (2 * inflated)) * (1 - torch.cos(angle))
        expected = torch.trapezoid(angle**2 * weight, angle) / torch.trapezoid(weight, angle)
        assert expected < 0.93 * 3 * inflated
        squared = SO3().local(mean[:3, :3], x[:, :3, :3]).square().sum(-1)
        assert (squared.mean() - expected).abs() < 4 * squared.std() / math.sqrt(chains)

"""Schedules against products of (1 − β), the papers' formulas and χ² and KS tests."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from pcdiff.diffusion.schedules import (
    Cosine,
    GeometricVarianceExploding,
    Linear,
    LuoHuReleasedCode,
    Schedule,
    geometric_levels,
    karras_levels,
    schedule_from_dict,
    uniform_levels,
)

GEOMETRIC = GeometricVarianceExploding(0.01, 5.0)


def times(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def products(betas: np.ndarray) -> list[float]:
    """ᾱ₀ … ᾱ_T, multiplied factor by factor."""
    kept = [1.0]
    for beta in betas:
        kept.append(kept[-1] * (1 - beta))
    return kept


@pytest.fixture
def released() -> Schedule:
    with pytest.warns(UserWarning, match=r"ends at ᾱ = 0\.36"):
        return LuoHuReleasedCode()


class TestLinear:
    def test_alpha_bar_is_the_product(self) -> None:
        schedule = Linear(1000, 1e-4, 0.02)
        alpha_bar = schedule(torch.linspace(0, 1, 1001, dtype=torch.float64)).alpha ** 2
        expected = products(np.linspace(1e-4, 0.02, 1000))
        np.testing.assert_allclose(alpha_bar, expected, rtol=1e-12)
        assert float(alpha_bar[-1]) == pytest.approx(4.04e-5, rel=2e-3)

    def test_any_number_of_steps_and_betas(self) -> None:
        schedule = Linear(60, 3e-3, 0.5)
        alpha_bar = schedule(torch.linspace(0, 1, 61, dtype=torch.float64)).alpha ** 2
        np.testing.assert_allclose(alpha_bar, products(np.linspace(3e-3, 0.5, 60)), rtol=1e-13)

    def test_small_noise_keeps_its_digits(self) -> None:
        """1 − ᾱ₁ is β₁; computed as 1 − α² it would have only five correct digits."""
        schedule = Linear(1000, 1e-12, 0.03)
        assert float(schedule(times(1e-3)).sigma ** 2) == pytest.approx(1e-12, rel=1e-12)

    @pytest.mark.parametrize(
        "wrong", [{"steps": 0}, {"beta_first": 0.0}, {"beta_first": 0.03}, {"beta_last": 1.0}]
    )
    def test_refuses_betas_outside_their_range(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=r"must satisfy 0 <|at least 1"):
            Linear(**wrong)  # type: ignore[arg-type]


class TestReleasedCode:
    def test_leaves_signal(self, released: Schedule) -> None:
        alpha_bar = released(torch.linspace(0, 1, 101, dtype=torch.float64)).alpha ** 2
        np.testing.assert_allclose(alpha_bar, products(np.linspace(1e-4, 0.02, 100)), rtol=1e-13)
        assert float(alpha_bar[-1]) == pytest.approx(0.363, abs=1e-3)

    def test_other_schedules_warn_only_if_they_do_not_end_in_noise(self) -> None:
        with pytest.warns(UserWarning, match="'linear'"):
            Linear(steps=100)
        Linear(), Cosine(), Cosine(steps=20)  # a warning would be an error


class TestCosine:
    @pytest.mark.parametrize("steps", [20, 1000])
    def test_follows_equation_17_up_to_the_clipped_last_step(self, steps: int) -> None:
        def f(step: int) -> float:
            return math.cos((step / steps + 0.008) / 1.008 * math.pi / 2) ** 2

        alpha_bar = Cosine(steps)(torch.linspace(0, 1, steps + 1, dtype=torch.float64)).alpha ** 2
        expected = [f(step) / f(0) for step in range(steps)]
        np.testing.assert_allclose(alpha_bar[:-1], expected, rtol=1e-11)
        assert float(alpha_bar[-1] / alpha_bar[-2]) == pytest.approx(1 - 0.999, rel=1e-9)


class TestDiscrete:
    @pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=lambda s: s.name)
    def test_preserves_variance(self, schedule: Schedule, generator: torch.Generator) -> None:
        t = torch.rand(1000, generator=generator, dtype=torch.float64)
        alpha, sigma = schedule(t)
        torch.testing.assert_close(alpha**2 + sigma**2, torch.ones_like(t), rtol=1e-14, atol=0)
        assert alpha.dtype == sigma.dtype == torch.float64

    @pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=lambda s: s.name)
    def test_beta_is_constant_between_knots(self, schedule: Schedule) -> None:
        """At fraction f of a step ᾱ is ᾱ_k^{1−f} ᾱ_{k+1}^f."""
        step = torch.arange(1000, dtype=torch.float64)
        before, after = schedule(step / 1000).alpha, schedule((step + 1) / 1000).alpha
        for fraction in (0.25, 0.5):
            between = schedule((step + fraction) / 1000).alpha
            expected = before ** (1 - fraction) * after**fraction
            torch.testing.assert_close(between, expected, rtol=1e-10, atol=0)

    def test_the_clean_end_is_exact(self) -> None:
        alpha, sigma = Linear()(times(0.0))
        assert alpha == 1
        assert sigma == 0
        assert not torch.signbit(sigma)

    def test_each_step_is_equally_likely_in_training(self, generator: torch.Generator) -> None:
        drawn = Cosine(steps=10).random_times(20_000, generator) * 10
        step = drawn.round()
        torch.testing.assert_close(drawn, step, rtol=1e-14, atol=0)
        counts = torch.bincount(step.long(), minlength=11)
        assert counts[0] == 0
        assert stats.chisquare(counts[1:].numpy()).pvalue > 1e-3


class TestGeometric:
    def test_closed_form(self) -> None:
        alpha, sigma = GEOMETRIC(times(0, 0.25, 0.5, 1))
        assert alpha.equal(torch.ones(4, dtype=torch.float64))
        expected = times(0.01, 0.01**0.75 * 5**0.25, math.sqrt(0.05), 5)
        torch.testing.assert_close(sigma, expected, rtol=1e-14, atol=0)

    def test_trains_at_log_uniform_noise(self, generator: torch.Generator) -> None:
        sigma = GEOMETRIC(GEOMETRIC.random_times(5000, generator)).sigma
        assert stats.kstest(sigma.numpy(), stats.loguniform(0.01, 5).cdf).pvalue > 1e-3

    @pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)])
    def test_refuses_an_empty_range(self, ends: tuple[float, float]) -> None:
        with pytest.raises(ValueError, match="sigma_min < sigma_max"):
            GeometricVarianceExploding(*ends)


class TestLevels:
    def test_uniform_levels_run_from_noise_to_clean(self) -> None:
        levels = uniform_levels(Linear(), 4)
        expected = Linear()(times(1, 0.75, 0.5, 0.25, 0))
        assert levels.alpha.equal(expected.alpha)
        assert levels.sigma.equal(expected.sigma)
        assert [float(level.sigma) for level in levels.each()] == levels.sigma.tolist()

    @pytest.mark.parametrize("rho", [1.0, 7.0])
    @pytest.mark.parametrize("schedule", [Linear(), GEOMETRIC], ids=lambda s: s.name)
    def test_karras_levels_are_equation_5(self, schedule: Schedule, rho: float) -> None:
        levels = karras_levels(schedule, 6, largest=80.0, smallest=0.002, rho=rho)
        expected = [
            (80 ** (1 / rho) + i / 5 * (0.002 ** (1 / rho) - 80 ** (1 / rho))) ** rho
            for i in range(6)
        ]
        np.testing.assert_allclose(levels.sigma / levels.alpha, [*expected, 0], rtol=1e-10)
        assert levels.alpha[-1] == 1

    @pytest.mark.parametrize("schedule", [Linear(), GEOMETRIC], ids=lambda s: s.name)
    def test_geometric_levels_multiply_the_signal_by_one_factor(self, schedule: Schedule) -> None:
        levels = geometric_levels(schedule, 5, largest=100.0, smallest=0.01)
        ratio = levels.sigma / levels.alpha
        np.testing.assert_allclose(ratio, [100, 10, 1, 0.1, 0.01, 0], rtol=1e-10)
        assert levels.alpha[-1] == 1

    @pytest.mark.parametrize("schedule", [Linear(), Cosine(), GEOMETRIC], ids=lambda s: s.name)
    def test_noise_to_signal_finds_the_level_of_the_family(self, schedule: Schedule) -> None:
        levels = schedule(torch.linspace(0.01, 1, 50, dtype=torch.float64))
        found = schedule.at_noise_to_signal(levels.sigma / levels.alpha)
        torch.testing.assert_close(found.alpha, levels.alpha, rtol=1e-12, atol=0)
        torch.testing.assert_close(found.sigma, levels.sigma, rtol=1e-12, atol=0)

    def test_one_level_over_a_batch_takes_the_type_of_its_points(self) -> None:
        level = Linear()(torch.tensor(0.5))
        over = level.over_batch(torch.zeros(5, 2, 7, 3), 2)
        assert over.alpha.dtype == torch.float32
        assert over.sigma.equal(level.sigma.float().expand(5, 2))

    def test_a_level_takes_the_type_of_points(self) -> None:
        level = Linear()(times(0.3, 0.5))
        moved = level.to(torch.zeros(2, 3))
        assert moved.alpha.equal(level.alpha.float())
        assert moved.sigma.equal(level.sigma.float())

    def test_refuse_too_few_steps_and_empty_ranges(self) -> None:
        with pytest.raises(ValueError, match="at least 1 step, got 0"):
            uniform_levels(Linear(), 0)
        with pytest.raises(ValueError, match="at least 2 steps, got 1"):
            karras_levels(Linear(), 1, 80.0, 0.002)
        with pytest.raises(ValueError, match="smallest < largest"):
            karras_levels(Linear(), 5, 0.002, 80.0)
        with pytest.raises(ValueError, match="at least 2 steps, got 1"):
            geometric_levels(Linear(), 1, 80.0, 0.002)
        with pytest.raises(ValueError, match="smallest < largest"):
            geometric_levels(Linear(), 5, 0.002, 80.0)


class TestDescription:
    @pytest.mark.parametrize(
        "schedule",
        [Linear(500, 1e-3, 0.04), Cosine(50, 0.01, 0.99), GEOMETRIC],
        ids=lambda s: s.name,
    )
    def test_round_trip_through_json(self, schedule: Schedule) -> None:
        assert schedule_from_dict(json.loads(json.dumps(schedule.as_dict()))) == schedule

    def test_released_code_still_warns_when_read_back(self, released: Schedule) -> None:
        with pytest.warns(UserWarning, match="not in noise"):
            assert schedule_from_dict(released.as_dict()) == released

    def test_unknown_name(self) -> None:
        with pytest.raises(ValueError, match=r"a schedule's name must be in .*, got 'quadratic'"):
            schedule_from_dict({"name": "quadratic"})

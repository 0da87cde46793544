"""The forward process step by step, and its posterior by conditioning a joint Gaussian."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcdiff.diffusion.process import perturb, posterior, transition
from pcdiff.diffusion.schedules import Cosine, GeometricVarianceExploding, Level, Linear
from pcdiff.manifolds import SE3, SO3, Euclidean, Manifold
from pcdiff.randomness import normal, spawn

STEPS = 200
SCHEDULE = Linear(STEPS, 5e-4, 0.1)
SUBSETS = [(1, 2), (1, 200), (50, 51), (50, 120), (199, 200)]


def at(step: int) -> Level:
    return SCHEDULE(torch.tensor(step / STEPS, dtype=torch.float64))


def steps_of_the_chain(earlier: int, later: int) -> tuple[float, float]:
    """α_{t|s} and σ²_{t|s}, by repeating x_k = √(1−β_k) x_{k−1} + √β_k ε."""
    signal, variance = 1.0, 0.0
    for beta in np.linspace(5e-4, 0.1, STEPS)[earlier:later]:
        signal *= math.sqrt(1 - beta)
        variance = (1 - beta) * variance + beta
    return signal, variance


class TestPerturb:
    def test_adds_the_noise_that_was_drawn(self) -> None:
        x0 = torch.linspace(-2, 2, 30, dtype=torch.float64).reshape(2, 5, 3)
        level = SCHEDULE(torch.tensor([0.2, 0.9]))
        x = perturb(Euclidean(), x0, level, torch.Generator().manual_seed(4))
        noise = normal((2, 5, 3), torch.Generator().manual_seed(4), torch.float64)
        for i in range(2):
            assert x[i].equal(level.alpha[i] * x0[i] + level.sigma[i] * noise[i])

    def test_moments(self, generator: torch.Generator) -> None:
        """Each sample of a batch has its own level."""
        draws, x0 = 40_000, torch.tensor([[1.5], [-0.5], [3.0]], dtype=torch.float64)
        level = SCHEDULE(torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64))
        x = perturb(Euclidean(1), x0.expand(3, draws), level, generator)
        variance = level.sigma**2
        assert ((x.mean(1) - level.alpha * x0[:, 0]).abs() < 4 * (variance / draws).sqrt()).all()
        assert ((x.var(1) / variance - 1).abs() < 4 * math.sqrt(2 / draws)).all()

    def test_float64_levels_do_not_promote_float32_points(self, generator: torch.Generator) -> None:
        x0 = torch.zeros(2, 5, 3)
        assert perturb(Euclidean(), x0, SCHEDULE(torch.ones(2)), generator).dtype == torch.float32

    def test_a_sample_does_not_depend_on_its_batch(self) -> None:
        x0 = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1))
        level = SCHEDULE(torch.linspace(0.1, 1, 4))
        whole = perturb(Euclidean(), x0, level, spawn(torch.Generator().manual_seed(2), 4))
        (_, _, third, _) = spawn(torch.Generator().manual_seed(2), 4)
        alone = perturb(Euclidean(), x0[2:3], Level(*(v[2:3] for v in level)), [third])
        torch.testing.assert_close(alone[0], whole[2])


class TestTransition:
    @pytest.mark.parametrize(("earlier", "later"), SUBSETS)
    def test_is_the_chain_between_two_steps(self, earlier: int, later: int) -> None:
        signal, variance = steps_of_the_chain(earlier, later)
        alpha, sigma_squared = transition(at(later), at(earlier))
        assert float(alpha) == pytest.approx(signal, rel=1e-12)
        assert float(sigma_squared) == pytest.approx(variance, rel=1e-11)

    @pytest.mark.parametrize(
        "schedule",
        [Linear(), Cosine(), GeometricVarianceExploding(0.01, 50.0)],
        ids=lambda s: s.name,
    )
    def test_after_an_earlier_level_gives_the_later_one(
        self, schedule: Linear | Cosine | GeometricVarianceExploding
    ) -> None:
        """q(x_t | x_s) applied to the law q(x_s | x₀) = N(α_s x₀, σ_s²) is q(x_t | x₀)."""
        t = torch.linspace(0.05, 1, 40, dtype=torch.float64)
        earlier, later = schedule(t[:-1]), schedule(t[1:])
        alpha, variance = transition(later, earlier)
        assert (variance > 0).all()
        torch.testing.assert_close(alpha * earlier.alpha, later.alpha)
        torch.testing.assert_close(alpha**2 * earlier.sigma**2 + variance, later.sigma**2)


class TestPosterior:
    @pytest.mark.parametrize(("earlier", "later"), SUBSETS)
    def test_conditions_the_joint_gaussian(self, earlier: int, later: int) -> None:
        """(x_s, x_t) given x₀ is normal; x_s given x_t follows by the Schur complement."""
        signal_s, variance_s = steps_of_the_chain(0, earlier)
        signal, variance = steps_of_the_chain(earlier, later)
        x, x0 = 0.8, -1.3
        mean = np.array([signal_s * x0, signal * signal_s * x0])
        mix = np.array(
            [[math.sqrt(variance_s), 0], [signal * math.sqrt(variance_s), variance**0.5]]
        )
        covariance = mix @ mix.T
        gain = covariance[0, 1] / covariance[1, 1]
        expected_mean = mean[0] + gain * (x - mean[1])
        expected_variance = covariance[0, 0] - gain * covariance[1, 0]
        found_mean, found_deviation = posterior(
            Euclidean(1),
            torch.tensor([[x]], dtype=torch.float64),
            torch.tensor([[x0]], dtype=torch.float64),
            at(later),
            at(earlier),
        )
        assert float(found_mean) == pytest.approx(expected_mean, rel=1e-10)
        assert float(found_deviation) ** 2 == pytest.approx(expected_variance, rel=1e-10)

    @pytest.mark.parametrize("step", [2, 10, 100, 200])
    def test_adjacent_steps_are_equations_6_and_7(
        self, step: int, generator: torch.Generator
    ) -> None:
        betas = np.linspace(5e-4, 0.1, STEPS)
        beta, bar, bar_before = (
            betas[step - 1],
            *(math.prod(1 - betas[:count]) for count in (step, step - 1)),
        )
        x, x0 = torch.randn(2, 4, 5, 3, dtype=torch.float64, generator=generator)
        mean, deviation = posterior(Euclidean(), x, x0, at(step), at(step - 1))
        expected = (
            math.sqrt(bar_before) * beta / (1 - bar) * x0
            + math.sqrt(1 - beta) * (1 - bar_before) / (1 - bar) * x
        )
        torch.testing.assert_close(mean, expected, rtol=1e-10, atol=1e-12)
        assert float(deviation) ** 2 == pytest.approx(
            (1 - bar_before) / (1 - bar) * beta, rel=1e-10
        )

    def test_at_the_clean_level_it_is_the_clean_point(self, generator: torch.Generator) -> None:
        x, x0 = torch.randn(2, 4, 5, 3, dtype=torch.float64, generator=generator)
        mean, deviation = posterior(Euclidean(), x, x0, at(120), at(0))
        torch.testing.assert_close(mean, x0, rtol=1e-13, atol=0)
        assert deviation == 0

    @pytest.mark.parametrize("manifold", [SO3(), SE3()], ids=str)
    def test_does_not_exist_on_a_curved_space(self, manifold: Manifold) -> None:
        point = torch.eye(3 if isinstance(manifold, SO3) else 4)[None]
        one = torch.tensor(1.0)
        with pytest.raises(ValueError, match="only on flat space"):
            posterior(manifold, point, point, Level(one, 2 * one), Level(one, one))

"""The variational bound of Gaussian data, whose −log p, entropy and every term are closed forms."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from pcdiff.diffusion.bound import Bound, variational_bound
from pcdiff.diffusion.process import perturb, posterior
from pcdiff.diffusion.schedules import GeometricVarianceExploding, Level, Linear, uniform_levels
from pcdiff.manifolds import Euclidean
from pcdiff.randomness import spawn

LINE = Euclidean(1)
SCHEDULE = Linear()


def crude(x: Tensor, level: Level, condition: Any) -> Tensor:
    """A model that is far from exact."""
    shape = (-1,) + (1,) * (x.ndim - 1)
    return level.sigma.reshape(shape) * torch.tanh(x)


def even_levels(steps: int) -> Level:
    """Levels equally spaced in log(σ/α), then the clean one.

    Levels equally spaced in time would not do: their last steps double the signal-to-noise ratio,
    however many steps there are, which costs a fixed amount.
    """
    ratios = torch.logspace(2, -3, steps, dtype=torch.float64)
    return SCHEDULE.at_noise_to_signal(torch.cat([ratios, ratios.new_zeros(1)]))


def data(gaussian: Any, generator: torch.Generator, *shape: int) -> Tensor:
    noise = torch.randn(shape, dtype=torch.float64, generator=generator)
    return gaussian.mean + gaussian.deviation * noise


def expected_terms(gaussian: Any, levels: Level) -> tuple[float, Tensor, float]:
    """The mean of each term over the data, in nats per coordinate, with the exact denoiser.

    With V_t = Var(x₀ | x_t) = s²σ_t²/(α_t²s² + σ_t²), a matching term is ½(SNR_s − SNR_t) V_t
    (Kingma et al. 2021, equation 13). The decoder is N(x̂₀, (σ₁/α₁)²).
    """
    alpha, sigma = levels
    signal, spread = alpha[0] ** 2, sigma[0] ** 2
    second_moment = gaussian.mean**2 + gaussian.deviation**2
    prior = 0.5 * (signal * second_moment + spread - 1 - spread.log())
    remaining = gaussian.deviation**2 * sigma**2 / gaussian.variance(levels)
    ratio = alpha[:-1] ** 2 / sigma[:-1] ** 2
    matching = 0.5 * ratio.diff() * remaining[:-2]
    decoder = 0.5 * (ratio[-1] * remaining[-2] + (2 * math.pi / ratio[-1]).log())
    return float(prior), matching, float(decoder)


class TestTerms:
    def test_each_term_is_its_divergence(self, generator: torch.Generator) -> None:
        """The same draws of x_t, with torch's own Gaussians in place of the closed forms."""
        x0 = torch.randn(4, 3, dtype=torch.float64, generator=generator)
        levels = uniform_levels(SCHEDULE, 6)
        bound = variational_bound(crude, LINE, x0, levels, torch.Generator().manual_seed(3))
        stream, each = torch.Generator().manual_seed(3), list(levels.each())
        for i, (level, earlier) in enumerate(pairwise(each)):
            over = level.over_batch(x0, 1)
            x = perturb(LINE, x0, over, stream)
            estimate = (x - level.sigma * crude(x, over, None)) / level.alpha
            if i < 5:
                true = Normal(*posterior(LINE, x, x0, level, earlier))
                ours = Normal(*posterior(LINE, x, estimate, level, earlier))
                expected = kl_divergence(true, ours).sum(1)
                torch.testing.assert_close(bound.denoising_matching[i], expected)
            else:
                decoder = Normal(estimate, level.sigma / level.alpha)
                torch.testing.assert_close(bound.reconstruction, -decoder.log_prob(x0).sum(1))
        last = Normal(each[0].alpha * x0, each[0].sigma)
        prior = Normal(torch.tensor(0.0).double(), 1.0)
        torch.testing.assert_close(bound.prior_matching, kl_divergence(last, prior).sum(1))
        assert bound.denoising_matching.shape == (5, 4)

    @pytest.mark.parametrize("deviation", [0.5, 20.0])
    def test_prior_of_another_width(self, deviation: float, generator: torch.Generator) -> None:
        """p(x_T) of a variance-exploding chain is N(0, σ_max²)."""
        x0 = torch.randn(4, 3, dtype=torch.float64, generator=generator)
        ratio = torch.tensor([20.0, 3.0, 0.1, 0.0], dtype=torch.float64)
        levels = GeometricVarianceExploding(0.01, 20.0).at_noise_to_signal(ratio)
        bound = variational_bound(crude, LINE, x0, levels, generator, prior_deviation=deviation)
        prior = Normal(torch.tensor(0.0).double(), deviation)
        expected = kl_divergence(Normal(x0, ratio[0]), prior).sum(1)
        torch.testing.assert_close(bound.prior_matching, expected)

    def test_means_over_gaussian_data(self, gaussian: Any, generator: torch.Generator) -> None:
        count, size = 5000, 4
        x0, levels = data(gaussian, generator, count, size), uniform_levels(SCHEDULE, 8)
        bound = variational_bound(gaussian.noise, LINE, x0, levels, generator)
        prior, matching, decoder = expected_terms(gaussian, levels)
        for found, expected in [
            (bound.prior_matching, prior),
            (bound.reconstruction, decoder),
            *zip(bound.denoising_matching, matching.tolist(), strict=True),
        ]:
            error = float(found.std()) / math.sqrt(count)
            assert float(found.mean()) == pytest.approx(size * expected, abs=4 * error)

    def test_a_chain_of_one_step_has_no_matching_term(self, gaussian: Any) -> None:
        x0 = torch.tensor([[0.2, 1.0]], dtype=torch.float64)
        levels = uniform_levels(SCHEDULE, 1)
        bound = variational_bound(gaussian.noise, LINE, x0, levels, torch.Generator())
        assert bound.denoising_matching.shape == (0, 1)
        torch.testing.assert_close(bound.total, bound.prior_matching + bound.reconstruction)


class TestGaussianData:
    def test_bounds_the_entropy_and_tends_to_it(self, gaussian: Any) -> None:
        """Its excess over ½ log 2πe s² is positive and inversely proportional to the steps."""
        entropy = 0.5 * math.log(2 * math.pi * math.e * gaussian.deviation**2)
        excess = []
        for steps in (250, 500, 1000):
            prior, matching, decoder = expected_terms(gaussian, even_levels(steps))
            excess.append(prior + float(matching.sum()) + decoder - entropy)
        assert all(1.9 < coarse / fine < 2.1 for coarse, fine in pairwise(excess))
        assert all(each > 0 for each in excess)
        # Extrapolated to infinitely many steps.
        assert 2 * excess[-1] - excess[-2] == pytest.approx(0, abs=0.002)

    @pytest.mark.parametrize(("steps", "count"), [(10, 4000), (300, 1000)])
    def test_excess_over_the_negative_log_likelihood_is_the_predicted_one(
        self, steps: int, count: int, gaussian: Any, generator: torch.Generator
    ) -> None:
        size = 4
        x0, levels = data(gaussian, generator, count, size), even_levels(steps)
        bound = variational_bound(gaussian.noise, LINE, x0, levels, generator)
        exact = -Normal(gaussian.mean, gaussian.deviation).log_prob(x0).sum(1)
        excess = bound.total - exact
        prior, matching, decoder = expected_terms(gaussian, levels)
        entropy = 0.5 * math.log(2 * math.pi * math.e * gaussian.deviation**2)
        expected = size * (prior + float(matching.sum()) + decoder - entropy)
        assert expected > 0
        error = float(excess.std()) / math.sqrt(count)
        assert float(excess.mean()) == pytest.approx(expected, abs=4 * error)

    def test_a_worse_model_has_a_larger_bound(
        self, gaussian: Any, generator: torch.Generator
    ) -> None:
        x0, levels = data(gaussian, generator, 2000, 4), uniform_levels(SCHEDULE, 10)
        best, worse = (
            variational_bound(model, LINE, x0, levels, torch.Generator().manual_seed(1)).total
            for model in (gaussian.noise, crude)
        )
        assert best.mean() < worse.mean()

    def test_can_be_negative(self, generator: torch.Generator) -> None:
        """It bounds a density, which exceeds 1 for data with a spread of a thousandth."""

        def exact(x: Tensor, level: Level, condition: Any) -> Tensor:
            alpha, sigma = (value[:, None] for value in level)
            return sigma * x / (alpha**2 * 1e-6 + sigma**2)

        x0 = 1e-3 * torch.randn(50, 4, dtype=torch.float64, generator=generator)
        assert (variational_bound(exact, LINE, x0, even_levels(50), generator).total < 0).all()


class TestUnits:
    def test_total_and_bits(self) -> None:
        """A bound of 6 log 2 nats on a sample of 3 coordinates is 2 bits per coordinate."""
        one = torch.full((2,), math.log(2), dtype=torch.float64)
        bound = Bound(3, one, torch.stack([one, one]), one, 2 * one)
        torch.testing.assert_close(bound.total, 6 * one)
        torch.testing.assert_close(bound.bits_per_dimension, 2 * torch.ones(2).double())

    def test_the_latent_term_is_added_unchanged(self, gaussian: Any) -> None:
        x0, levels = torch.ones(2, 3), uniform_levels(SCHEDULE, 5)
        latent = torch.tensor([4.0, 0.5])
        without, with_latent = (
            variational_bound(gaussian.noise, LINE, x0, levels, torch.Generator(), latent=kl)
            for kl in (None, latent)
        )
        torch.testing.assert_close(with_latent.total - without.total, latent.double())

    def test_a_cloud_has_the_bound_of_its_coordinates(self, generator: torch.Generator) -> None:
        clouds, levels = torch.randn(4, 5, 3, generator=generator), uniform_levels(SCHEDULE, 5)
        whole, flat = (
            variational_bound(crude, space, x0, levels, torch.Generator())
            for space, x0 in ((Euclidean(2), clouds), (LINE, clouds.flatten(1)))
        )
        assert whole.dimensions == flat.dimensions == 15
        torch.testing.assert_close(whole.total, flat.total)

    def test_a_sample_does_not_depend_on_its_batch(self, generator: torch.Generator) -> None:
        x0, levels = torch.randn(4, 3, generator=generator), uniform_levels(SCHEDULE, 5)

        def generators() -> list[torch.Generator]:
            return spawn(torch.Generator().manual_seed(2), 4)

        whole = variational_bound(crude, LINE, x0, levels, generators())
        alone = variational_bound(crude, LINE, x0[2:3], levels, generators()[2:3])
        torch.testing.assert_close(alone.total[0], whole.total[2], rtol=1e-6, atol=1e-6)


def test_the_condition_reaches_the_model() -> None:
    seen: list[Any] = []

    def model(x: Tensor, level: Level, condition: Any) -> Tensor:
        seen.append((condition, tuple(level.alpha.shape), x.dtype))
        return torch.zeros_like(x)

    levels = uniform_levels(SCHEDULE, 3)
    variational_bound(model, LINE, torch.ones(2, 3), levels, torch.Generator(), "a mug")
    assert seen == 3 * [("a mug", (2,), torch.float32)]


def test_a_chain_must_end_clean(gaussian: Any) -> None:
    levels = uniform_levels(GeometricVarianceExploding(0.01, 5.0), 4)
    with pytest.raises(ValueError, match=r"end at the clean level, sigma = 0, got sigma = 0\.01"):
        variational_bound(gaussian.noise, LINE, torch.ones(2, 3), levels, torch.Generator())

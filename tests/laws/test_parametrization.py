"""Conversions between ε, x₀, score and v, and the loss that uses them, over all manifolds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pcdiff.diffusion.losses import denoising_loss
from pcdiff.diffusion.parametrization import (
    denoised_from_noise,
    noise_from_denoised,
    noise_from_score,
    noise_from_velocity,
    score_from_noise,
    velocity_from_noise,
)
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.schedules import Cosine, GeometricVarianceExploding, Level, Linear
from pcdiff.manifolds import SE3, SO3, Euclidean, Manifold, so3
from pcdiff.randomness import normal, spawn
from tests.laws.cases import CASES, CENTRE, Case, over_manifolds

LEVELS = {
    "clean": (0.999, math.sqrt(1 - 0.999**2)),
    "middle": (0.6, 0.8),
    "noise": (0.01, math.sqrt(1 - 0.01**2)),
    "exploding": (1.0, 0.4),
}

over_cases = pytest.mark.parametrize(
    ("case", "name"),
    [(c, n) for c in CASES for n in LEVELS if n == "exploding" or c.manifold.is_flat],
    ids=str,
)


def unit_noise(manifold: Manifold, x: Tensor, generator: torch.Generator) -> Tensor:
    """Normal, clamped so that σε stays below half a turn, where Log is one-to-one."""
    noise = manifold.to_unit(manifold.tangent_noise(x, generator))
    return noise.clamp(-3, 3)


def level_of(name: str, count: int = 5) -> Level:
    """One level per sample, all with different σ."""
    alpha, sigma = LEVELS[name]
    scale = torch.linspace(0.9, 1.0, count, dtype=torch.float64)
    return Level(torch.full_like(scale, alpha), sigma * scale)


@over_cases
class TestConversions:
    def test_noise_and_denoised_invert_each_other(
        self, case: Case, name: str, generator: torch.Generator
    ) -> None:
        manifold, x, level = case.manifold, case.draw((5,), generator), level_of(name)
        noise = unit_noise(manifold, x, generator)
        denoised = denoised_from_noise(manifold, x, noise, level)
        back = noise_from_denoised(manifold, x, denoised, level)
        torch.testing.assert_close(back, noise, rtol=1e-11, atol=1e-11)
        again = denoised_from_noise(manifold, x, back, level)
        torch.testing.assert_close(again, denoised, rtol=1e-11, atol=1e-11)

    def test_noise_and_score_invert_each_other(
        self, case: Case, name: str, generator: torch.Generator
    ) -> None:
        manifold, x, level = case.manifold, case.draw((5,), generator), level_of(name)
        noise = unit_noise(manifold, x, generator)
        score = score_from_noise(manifold, noise, level)
        torch.testing.assert_close(noise_from_score(manifold, score, level), noise)

    def test_score_and_denoised_obey_tweedie(
        self, case: Case, name: str, generator: torch.Generator
    ) -> None:
        """x̂₀ = (x_t ⊕ σ² S ∇log p)/α, with S from the list of cases."""
        manifold, x, level = case.manifold, case.draw((5,), generator), level_of(name)
        score = manifold.kernel_score(case.draw((5,), generator), x, level.sigma)
        metric = torch.tensor(case.metric, dtype=torch.float64).view(score.shape[1:])
        step = manifold.over_tangent(level.sigma) ** 2 * metric * score
        expected = manifold.contract(1 / level.alpha, manifold.retract(x, step))
        found = denoised_from_noise(manifold, x, noise_from_score(manifold, score, level), level)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)

    def test_the_forward_process_is_undone_by_its_own_noise(
        self, case: Case, name: str, generator: torch.Generator
    ) -> None:
        """The noise is the drawn one, turned into the frame of x_t where that is turned."""
        manifold, x0, level = case.manifold, case.draw((5,), generator), level_of(name)
        x = perturb(manifold, x0, level, torch.Generator().manual_seed(8))
        drawn = manifold.to_unit(manifold.tangent_noise(x0, torch.Generator().manual_seed(8)))
        noise = noise_from_denoised(manifold, x, x0, level)
        drawn = case.seen_from_end(drawn, level.sigma)
        torch.testing.assert_close(noise, drawn, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(
            denoised_from_noise(manifold, x, noise, level), x0, rtol=1e-9, atol=1e-9
        )


class TestVelocity:
    @pytest.mark.parametrize("name", ["clean", "middle", "noise"])
    def test_velocity_and_noise_invert_each_other(
        self, name: str, generator: torch.Generator
    ) -> None:
        x, noise = torch.randn(2, 5, 4, 3, dtype=torch.float64, generator=generator)
        level = Level(*(torch.full((5,), v, dtype=torch.float64) for v in LEVELS[name]))
        velocity = velocity_from_noise(Euclidean(), x, noise, level)
        back = noise_from_velocity(Euclidean(), x, velocity, level)
        torch.testing.assert_close(back, noise, rtol=1e-11, atol=1e-11)

    def test_velocity_is_the_derivative_by_the_angle(self, generator: torch.Generator) -> None:
        """v = dx/dφ for α = cos φ and σ = sin φ (Salimans & Ho 2022, appendix D)."""
        x0, noise = torch.randn(2, 5, 4, 3, dtype=torch.float64, generator=generator)
        angle = torch.linspace(0.1, 1.4, 5, dtype=torch.float64)

        def path(angle: Tensor) -> Tensor:
            return angle.cos()[:, None, None] * x0 + angle.sin()[:, None, None] * noise

        _, expected = torch.autograd.functional.jvp(path, angle, torch.ones_like(angle))
        found = velocity_from_noise(
            Euclidean(), path(angle), noise, Level(angle.cos(), angle.sin())
        )
        torch.testing.assert_close(found, expected)


class TestLoss:
    def test_on_flat_space_it_is_algorithm_1(self, generator: torch.Generator) -> None:
        """‖ε_θ(√ᾱ x₀ + √(1−ᾱ) ε, k) − ε‖² with k uniform, k and ε drawn from the same generator."""
        x0, schedule = torch.randn(6, 4, 3, dtype=torch.float64, generator=generator), Linear()

        def model(x: Tensor, level: Level, condition: Any) -> Tensor:
            return condition * torch.sin(x) * level.sigma[:, None, None]

        loss, level = denoising_loss(
            model, Euclidean(2), schedule, x0, torch.Generator().manual_seed(3), 0.7
        )
        stream = torch.Generator().manual_seed(3)
        expected_level = schedule(schedule.random_times(6, stream))
        noise = normal(x0.shape, stream, torch.float64)
        assert level.alpha.equal(expected_level.alpha)
        assert level.sigma.equal(expected_level.sigma)
        for i in range(6):
            x = level.alpha[i] * x0[i] + level.sigma[i] * noise[i]
            squares = (0.7 * torch.sin(x) * level.sigma[i] - noise[i]) ** 2
            assert float(loss[i]) == pytest.approx(float(squares.sum() / 12), rel=1e-10)

    @pytest.mark.parametrize("manifold", [SO3(), SE3(0.1), SE3(1.0)], ids=str)
    def test_target_on_curved_spaces(self, manifold: Manifold, generator: torch.Generator) -> None:
        """The loss of the model ε̂ = 0 is the mean square of −σ S^{1/2} ∇log q(x_t | x₀).

        That target is Rᵀ(t−t₀)/(σℓ) and, while wrapping is negligible,
        ω/σ + σ (sin θ/(1−cos θ) − 2/θ) ω/θ.
        """
        schedule = GeometricVarianceExploding(0.05, 0.45)
        shape, centre = ((3, 3), None) if isinstance(manifold, SO3) else ((4, 4), CENTRE)
        x0 = manifold.random((50, *shape), 1.0, generator, centre, torch.float64)

        def zero(x: Tensor, level: Level, condition: Any) -> Tensor:
            return manifold.zero_tangent(x)

        loss, level = denoising_loss(zero, manifold, schedule, x0, torch.Generator().manual_seed(3))
        stream = torch.Generator().manual_seed(3)
        schedule.random_times(50, stream)
        x, sigma = perturb(manifold, x0, level, stream), level.sigma[:, None]
        omega = so3.log(x0[:, :3, :3].mT @ x[:, :3, :3])
        angle = omega.norm(dim=-1, keepdim=True)
        volume = (torch.sin(angle) / (1 - torch.cos(angle)) - 2 / angle) / angle
        parts = [omega / sigma + sigma * volume * omega]
        if isinstance(manifold, SE3):
            parts.append((x - x0)[:, :3, 3] / (sigma * manifold.length))
        expected = torch.cat(parts, dim=-1).square().mean(-1)
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-9)

    @over_manifolds
    def test_others_lower_the_variance_of_the_target_and_keep_its_mean(
        self, case: Case, generator: torch.Generator
    ) -> None:
        """With all the points that a sample may come from, the loss of the best model is zero.

        The best model is −σ S^{1/2} times the score of the mixture. Without the others its loss is
        the variance of the target, and that is the only difference between the two losses.
        """
        manifold, schedule = case.manifold, GeometricVarianceExploding(0.2, 0.8)
        points = case.near(case.draw((1,), generator).expand(3, *case.point), 0.4, generator)
        x0 = points[torch.arange(3000) % 3]
        others = torch.stack([points[(torch.arange(3000) + k) % 3] for k in (1, 2)], dim=1)

        def best(x: Tensor, level: Level, condition: Any) -> Tensor:
            means = points.expand(len(x), *points.shape)
            return noise_from_score(manifold, manifold.mixture_score(means, x, level.sigma), level)

        def worse(x: Tensor, level: Level, condition: Any) -> Tensor:
            return 0.5 * best(x, level, condition)

        def loss_of(model: Any, with_others: Tensor | None) -> Tensor:
            stream = torch.Generator().manual_seed(3)
            return denoising_loss(model, manifold, schedule, x0, stream, None, with_others)[0]

        assert loss_of(best, others).max() < 1e-20
        variance = loss_of(best, None)
        assert variance.mean() > 0.01
        gained = loss_of(worse, None) - variance - loss_of(worse, others)
        assert gained.mean().abs() < 4 * gained.std() / math.sqrt(3000)

    def test_exact_denoiser_leaves_the_conditional_variance(
        self, generator: torch.Generator
    ) -> None:
        """For x₀ ~ N(μ, s²), Var(ε | x_t) = α²s²/(α²s² + σ²), and no model has a smaller loss."""
        mean, deviation, count, size = 0.7, 0.5, 20_000, 4
        x0 = mean + deviation * normal((count, size), generator, torch.float64)

        def exact(x: Tensor, level: Level, condition: Any) -> Tensor:
            alpha, sigma = (value[:, None] for value in level)
            return sigma * (x - alpha * mean) / (alpha**2 * deviation**2 + sigma**2)

        def loss_of(scale: float) -> tuple[Tensor, Tensor]:
            loss, level = denoising_loss(
                lambda *inputs: scale * exact(*inputs),
                Euclidean(1),
                Cosine(),
                x0,
                torch.Generator().manual_seed(3),
            )
            signal = level.alpha**2 * deviation**2
            return loss, signal / (signal + level.sigma**2)

        loss, expected = loss_of(1.0)
        relative = loss / expected  # a mean of `size` squares of standard normal numbers
        assert abs(float(relative.mean()) - 1) < 4 * math.sqrt(2 / (count * size))
        assert float(relative.var()) == pytest.approx(2 / size, rel=0.1)
        assert all(loss_of(scale)[0].mean() > loss.mean() for scale in (0.9, 1.1))

    @over_manifolds
    def test_a_sample_does_not_depend_on_its_batch(
        self, case: Case, generator: torch.Generator
    ) -> None:
        manifold, schedule = case.manifold, GeometricVarianceExploding(0.05, 1.0)
        x0 = case.draw((5,), generator)

        def constant(x: Tensor, level: Level, condition: Any) -> Tensor:
            return manifold.zero_tangent(x) + 0.3

        def generators() -> list[torch.Generator]:
            return spawn(torch.Generator().manual_seed(2), 5)

        whole, level = denoising_loss(constant, manifold, schedule, x0, generators())
        alone, own = denoising_loss(constant, manifold, schedule, x0[3:4], generators()[3:4])
        torch.testing.assert_close(alone[0], whole[3])
        assert own.sigma[0] == level.sigma[3]

    def test_a_half_precision_model_has_a_single_precision_loss(
        self, generator: torch.Generator
    ) -> None:
        """Autocast networks answer in bfloat16; squares summed in it would lose most digits."""
        x0 = torch.randn(5, 4, 3, generator=generator)

        def loss_in(kind: torch.dtype) -> Tensor:
            def half(x: Tensor, level: Level, condition: Any) -> Tensor:
                return torch.full_like(x, 0.5, dtype=kind)

            stream = torch.Generator().manual_seed(3)
            return denoising_loss(half, Euclidean(2), Linear(), x0, stream)[0]

        loss = loss_in(torch.bfloat16)
        assert loss.dtype == torch.float32
        assert loss.equal(loss_in(torch.float32))

"""The laws that `Manifold` states, over all manifolds × dtypes × batch shapes at once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pcdiff.manifolds import SE3, SO3, Euclidean, Manifold
from pcdiff.randomness import Generator

MANIFOLDS = [Euclidean(2), Euclidean(1), SO3(), SE3(0.1), SE3(1.0)]
DTYPES = [torch.float32, torch.float64]
BATCHES = [(), (5,), (2, 3)]
TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-13}

over_manifolds = pytest.mark.parametrize("manifold", MANIFOLDS, ids=str)
over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
over_batches = pytest.mark.parametrize("batch", BATCHES, ids=str)


def random_points(
    manifold: Manifold, batch: tuple[int, ...], dtype: torch.dtype, generator: Generator
) -> Tensor:
    point = {Euclidean(2): (4, 3), Euclidean(1): (3,), SO3(): (3, 3)}.get(manifold, (4, 4))
    centre = torch.tensor([0.5, -0.3, 1.0]) if isinstance(manifold, SE3) else None
    return manifold.random((*batch, *point), 1.0, generator, centre, dtype)


def log_density(manifold: Manifold, mean: Tensor, x: Tensor, noise_level: Tensor) -> Tensor:
    """log p(x | mean, σ) up to a constant, written out for each manifold."""
    if isinstance(manifold, Euclidean):
        return -manifold.local(mean, x).square().sum() / (2 * noise_level**2)
    if isinstance(manifold, SO3):
        return manifold.log_kernel(mean, x, noise_level)
    assert isinstance(manifold, SE3)
    moved = (x - mean)[:3, 3].square().sum() / (2 * (noise_level * manifold.length) ** 2)
    return SO3().log_kernel(mean[:3, :3], x[:3, :3], noise_level) - moved


@over_manifolds
@over_dtypes
@over_batches
class TestMoves:
    def test_retract_undoes_local(
        self,
        manifold: Manifold,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        x = random_points(manifold, batch, dtype, generator)
        y = random_points(manifold, batch, dtype, generator)
        reached = manifold.retract(x, manifold.local(x, y))
        torch.testing.assert_close(reached, y, rtol=0, atol=TOLERANCE[dtype])

    def test_local_undoes_retract(
        self,
        manifold: Manifold,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        x = random_points(manifold, batch, dtype, generator)
        v = 0.4 * manifold.tangent_noise(x, generator)
        assert v.shape == manifold.local(x, x).shape
        assert v.ndim == len(batch) + manifold.tangent_ndim
        found = manifold.local(x, manifold.retract(x, v))
        torch.testing.assert_close(found, v, rtol=0, atol=TOLERANCE[dtype])

    def test_local_of_a_point_to_itself_is_zero(
        self,
        manifold: Manifold,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        x = random_points(manifold, batch, dtype, generator)
        v = manifold.local(x, x)
        torch.testing.assert_close(v, torch.zeros_like(v), rtol=0, atol=TOLERANCE[dtype])

    def test_unit_coordinates_and_contraction_by_one(
        self,
        manifold: Manifold,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        x = random_points(manifold, batch, dtype, generator)
        v = manifold.tangent_noise(x, generator)
        torch.testing.assert_close(manifold.from_unit(manifold.to_unit(v)), v)
        torch.testing.assert_close(manifold.to_unit(manifold.from_unit(v)), v)
        assert manifold.contract(torch.ones(batch, dtype=dtype), x).equal(x)

    def test_kernel_score_is_the_gradient_of_the_log_density(
        self,
        manifold: Manifold,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        """In float64 against central differences along `retract`; in float32 against float64."""
        mean = random_points(manifold, batch, torch.float64, generator)
        sigma = 0.2 + 0.6 * torch.rand(batch, dtype=torch.float64, generator=generator)
        noise = manifold.over_tangent(sigma) * manifold.tangent_noise(mean, generator)
        x = manifold.retract(mean, noise)
        if dtype == torch.float32:
            found = manifold.kernel_score(mean.to(dtype), x.to(dtype), sigma.to(dtype))
            expected = manifold.kernel_score(mean, x, sigma)
            torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)
            return
        score = manifold.kernel_score(mean, x, sigma)
        point, tangent = x.shape[len(batch) :], noise.shape[len(batch) :]
        step = 1e-5
        basis = step * torch.eye(math.prod(tangent), dtype=dtype).unflatten(-1, tangent)
        for mean_i, x_i, sigma_i, score_i in zip(
            mean.reshape(-1, *point),
            x.reshape(-1, *point),
            sigma.reshape(-1),
            score.reshape(-1, *tangent),
            strict=True,
        ):
            slopes = [
                log_density(manifold, mean_i, manifold.retract(x_i, v), sigma_i)
                - log_density(manifold, mean_i, manifold.retract(x_i, -v), sigma_i)
                for v in basis
            ]
            numerical = torch.stack(slopes).reshape(tangent) / (2 * step)
            torch.testing.assert_close(score_i, numerical, rtol=1e-6, atol=1e-6)


@over_manifolds
def test_log_kernel_is_the_density_up_to_a_constant(
    manifold: Manifold, generator: torch.Generator
) -> None:
    mean = random_points(manifold, (6,), torch.float64, generator)
    sigma = torch.tensor(0.7, dtype=torch.float64)
    x = manifold.retract(mean, sigma * manifold.tangent_noise(mean, generator))
    found = manifold.log_kernel(mean, x, sigma.expand(6))
    expected = torch.stack(
        [log_density(manifold, m, y, sigma) for m, y in zip(mean, x, strict=True)]
    )
    torch.testing.assert_close(found - found[0], expected - expected[0])


@over_manifolds
def test_mixture_score_is_the_gradient_of_the_mixtures_log_density(
    manifold: Manifold, generator: torch.Generator
) -> None:
    """Of three kernels, by central differences along `retract`."""
    sigma = torch.tensor([0.6], dtype=torch.float64)
    first = random_points(manifold, (1, 1), torch.float64, generator)
    several = first.expand(1, 3, *first.shape[2:])
    means = manifold.retract(several, 0.5 * manifold.tangent_noise(several, generator))
    x = manifold.retract(means[:, 0], 0.5 * manifold.tangent_noise(means[:, 0], generator))
    score = manifold.mixture_score(means, x, sigma)[0]

    def log_mixture(y: Tensor) -> Tensor:
        each = [log_density(manifold, mean, y, sigma[0]) for mean in means[0]]
        return torch.stack(each).logsumexp(0)

    step = 1e-5
    basis = step * torch.eye(score.numel(), dtype=torch.float64).unflatten(-1, score.shape)
    slopes = [
        log_mixture(manifold.retract(x[0], v)) - log_mixture(manifold.retract(x[0], -v))
        for v in basis
    ]
    numerical = torch.stack(slopes).reshape(score.shape) / (2 * step)
    torch.testing.assert_close(score, numerical, rtol=1e-6, atol=1e-6)


@over_manifolds
def test_tangent_noise_has_unit_covariance_in_unit_coordinates(
    manifold: Manifold, generator: torch.Generator
) -> None:
    count = 40_000
    x = random_points(manifold, (), torch.float64, generator)
    noise = manifold.tangent_noise(x.expand(count, *x.shape), generator)
    unit = manifold.to_unit(noise).flatten(1)
    # 5 standard errors: Var(ε_i ε_j) is at most 2.
    torch.testing.assert_close(
        unit.T @ unit / count,
        torch.eye(unit.shape[1], dtype=torch.float64),
        rtol=0,
        atol=5 * math.sqrt(2 / count),
    )


@over_manifolds
@over_dtypes
def test_a_sample_depends_on_its_own_generator_only(manifold: Manifold, dtype: torch.dtype) -> None:
    def generators(seeds: range) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    together = random_points(manifold, (5,), dtype, generators(range(5)))
    alone = random_points(manifold, (1,), dtype, generators(range(3, 4)))
    assert together[3:4].equal(alone)
    noise = manifold.tangent_noise(together, generators(range(5)))
    assert noise[3:4].equal(manifold.tangent_noise(alone, generators(range(3, 4))))


@over_manifolds
def test_a_float64_level_without_axes_does_not_promote_float32(
    manifold: Manifold, generator: torch.Generator
) -> None:
    mean = random_points(manifold, (5,), torch.float32, generator)
    x = random_points(manifold, (5,), torch.float32, generator)
    score = manifold.kernel_score(mean, x, torch.tensor(0.7, dtype=torch.float64))
    each = manifold.kernel_score(mean, x, torch.full((5,), 0.7))
    torch.testing.assert_close(score, each)


@pytest.mark.parametrize("manifold", [SO3(), SE3()], ids=str)
@pytest.mark.parametrize("alpha", [torch.tensor(0.9), torch.tensor([1.0, 1.0, 2.0])])
def test_a_space_without_scaling_refuses_to_contract(
    manifold: Manifold, alpha: Tensor, generator: torch.Generator
) -> None:
    x = random_points(manifold, (3,), torch.float32, generator)
    with pytest.raises(ValueError, match=r"no scaling.*variance-exploding"):
        manifold.contract(alpha, x)

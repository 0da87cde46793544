"""The laws that `Manifold` states, over all manifolds × dtypes × batch shapes at once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pcdiff.errors import InputError
from tests.laws.cases import CASES, Case, over_manifolds

TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-13}

over_dtypes = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
over_batches = pytest.mark.parametrize("batch", [(), (5,), (2, 3)], ids=str)


@over_manifolds
@over_dtypes
@over_batches
class TestMoves:
    def test_retract_undoes_local(
        self,
        case: Case,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        manifold = case.manifold
        x = case.draw(batch, generator, dtype)
        y = case.draw(batch, generator, dtype)
        reached = manifold.retract(x, manifold.local(x, y))
        torch.testing.assert_close(reached, y, rtol=0, atol=TOLERANCE[dtype])

    def test_local_undoes_retract(
        self,
        case: Case,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        manifold = case.manifold
        x = case.draw(batch, generator, dtype)
        v = 0.4 * manifold.tangent_noise(x, generator)
        assert v.shape == manifold.local(x, x).shape
        assert v.ndim == len(batch) + manifold.tangent_ndim
        found = manifold.local(x, manifold.retract(x, v))
        torch.testing.assert_close(found, v, rtol=0, atol=TOLERANCE[dtype])

    def test_local_of_a_point_to_itself_is_zero(
        self,
        case: Case,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        manifold = case.manifold
        x = case.draw(batch, generator, dtype)
        v = manifold.local(x, x)
        torch.testing.assert_close(v, torch.zeros_like(v), rtol=0, atol=TOLERANCE[dtype])

    def test_unit_coordinates_and_contraction_by_one(
        self,
        case: Case,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        manifold = case.manifold
        x = case.draw(batch, generator, dtype)
        v = manifold.tangent_noise(x, generator)
        torch.testing.assert_close(manifold.from_unit(manifold.to_unit(v)), v)
        torch.testing.assert_close(manifold.to_unit(manifold.from_unit(v)), v)
        assert manifold.contract(torch.ones(batch, dtype=dtype), x).equal(x)

    def test_kernel_score_is_the_gradient_of_the_log_density(
        self,
        case: Case,
        dtype: torch.dtype,
        batch: tuple[int, ...],
        generator: torch.Generator,
    ) -> None:
        """In float64 against central differences along `retract`; in float32 against float64."""
        manifold, point = case.manifold, case.point
        mean = case.draw(batch, generator)
        sigma = 0.2 + 0.6 * torch.rand(batch, dtype=torch.float64, generator=generator)
        noise = manifold.over_tangent(sigma) * manifold.tangent_noise(mean, generator)
        x = manifold.retract(mean, noise)
        score = manifold.kernel_score(mean, x, sigma)
        if dtype == torch.float32:
            found = manifold.kernel_score(mean.to(dtype), x.to(dtype), sigma.to(dtype))
            torch.testing.assert_close(found.double(), score, rtol=1e-5, atol=1e-4)
            return
        for mean_i, x_i, sigma_i, score_i in zip(
            mean.reshape(-1, *point),
            x.reshape(-1, *point),
            sigma.flatten().tolist(),
            score.reshape(-1, *noise.shape[len(batch) :]),
            strict=True,
        ):
            numerical = case.slopes(lambda y: case.log_density(mean_i, y, sigma_i), x_i)  # noqa: B023
            torch.testing.assert_close(score_i, numerical, rtol=1e-6, atol=1e-6)


@over_manifolds
def test_zero_tangent_does_not_move(case: Case, generator: torch.Generator) -> None:
    x = case.draw((2, 3), generator, torch.float32)
    zero = case.manifold.zero_tangent(x)
    assert zero.equal(torch.zeros_like(case.manifold.local(x, x)))
    torch.testing.assert_close(case.manifold.retract(x, zero), x)


@over_manifolds
def test_log_kernel_is_the_density_up_to_a_constant(case: Case, generator: torch.Generator) -> None:
    mean, sigma = case.draw((6,), generator), torch.tensor(0.7, dtype=torch.float64)
    x = case.near(mean, 0.7, generator)
    found = case.manifold.log_kernel(mean, x, sigma.expand(6))
    expected = torch.stack([case.log_density(*pair, 0.7) for pair in zip(mean, x, strict=True)])
    torch.testing.assert_close(found - found[0], expected - expected[0])
    torch.testing.assert_close(case.manifold.log_kernel(mean, x, sigma), found)


@over_manifolds
def test_mixture_score_is_the_gradient_of_the_mixtures_log_density(
    case: Case, generator: torch.Generator
) -> None:
    """Three kernels, by central differences along `retract`."""
    sigma = torch.tensor([0.6], dtype=torch.float64)
    means = case.near(case.draw((1, 1), generator).expand(1, 3, *case.point), 0.5, generator)
    x = case.near(means[:, 0], 0.5, generator)

    def log_mixture(y: Tensor) -> Tensor:
        return torch.stack([case.log_density(mean, y, 0.6) for mean in means[0]]).logsumexp(0)

    score = case.manifold.mixture_score(means, x, sigma)[0]
    torch.testing.assert_close(score, case.slopes(log_mixture, x[0]), rtol=1e-6, atol=1e-6)


@over_manifolds
def test_tangent_noise_has_unit_covariance_in_unit_coordinates(
    case: Case, generator: torch.Generator
) -> None:
    count = 40_000
    x = case.draw((), generator)
    noise = case.manifold.tangent_noise(x.expand(count, *x.shape), generator)
    unit = case.manifold.to_unit(noise).flatten(1)
    # 5 standard errors: Var(ε_i ε_j) is at most 2.
    torch.testing.assert_close(
        unit.T @ unit / count,
        torch.eye(unit.shape[1], dtype=torch.float64),
        rtol=0,
        atol=5 * math.sqrt(2 / count),
    )


@over_manifolds
def test_the_metric_is_the_square_of_from_unit(case: Case, generator: torch.Generator) -> None:
    v = case.manifold.tangent_noise(case.draw((5,), generator), generator)
    metric = torch.tensor(case.metric, dtype=torch.float64).view(v.shape[1:])
    torch.testing.assert_close(case.manifold.from_unit(case.manifold.from_unit(v)), metric * v)


@over_manifolds
@over_dtypes
def test_a_sample_depends_on_its_own_generator_only(case: Case, dtype: torch.dtype) -> None:
    def generators(seeds: range) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    together = case.draw((5,), generators(range(5)), dtype)
    alone = case.draw((1,), generators(range(3, 4)), dtype)
    assert together[3:4].equal(alone)
    noise = case.manifold.tangent_noise(together, generators(range(5)))
    assert noise[3:4].equal(case.manifold.tangent_noise(alone, generators(range(3, 4))))


@over_manifolds
def test_a_float64_level_without_axes_does_not_promote_float32(
    case: Case, generator: torch.Generator
) -> None:
    mean = case.draw((5,), generator, torch.float32)
    x = case.draw((5,), generator, torch.float32)
    score = case.manifold.kernel_score(mean, x, torch.tensor(0.7, dtype=torch.float64))
    each = case.manifold.kernel_score(mean, x, torch.full((5,), 0.7))
    torch.testing.assert_close(score, each)


@over_manifolds
@pytest.mark.parametrize("alpha", [torch.tensor(0.9), torch.tensor([1.0, 1.0, 2.0])])
def test_contract_scales_or_refuses(case: Case, alpha: Tensor, generator: torch.Generator) -> None:
    x = case.draw((3,), generator, torch.float32)
    if case.manifold.is_flat:
        expected = alpha.expand(3).view(3, *(1,) * len(case.point)) * x
        assert case.manifold.contract(alpha, x).equal(expected)
        return
    for refuse in (
        lambda: case.manifold.contract(alpha, x),
        lambda: case.manifold.check_signal(alpha),
    ):
        with pytest.raises(InputError, match=r"cannot scale points.*variance-exploding"):
            refuse()


def test_every_case_has_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)

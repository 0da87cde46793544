"""The earth mover's distance against closed forms, all permutations, SciPy and POT."""

from __future__ import annotations

import inspect
import itertools
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pcdiff.clouds.metrics.earth_mover import (
    approximate_earth_mover_distance,
    earth_mover_distance,
    earth_mover_workers,
    pairwise_earth_mover,
)
from pcdiff.errors import InputError


def costs(a, b):
    return cdist(a.double().numpy(), b.double().numpy())


def reference_distance(a, b):
    cost = costs(a, b)
    return cost[linear_sum_assignment(cost)].mean()


def chairs(count, points, generator):
    """Seat, back and four legs of random sizes, with many nearly equal costs like real clouds."""
    sizes = 0.5 + torch.rand(count, 1, 3, generator=generator)
    seat, back, legs = torch.rand(3, count, points, 3, generator=generator)
    seat = seat * torch.tensor([1, 0.05, 1])
    back = back * torch.tensor([1, 1, 0.05])
    legs = torch.cat([legs[..., :1].round(), legs[..., 1:2] - 1, legs[..., 2:].round()], dim=-1)
    part = torch.randint(3, (count, points, 1), generator=generator)
    return torch.where(part == 0, seat, torch.where(part == 1, back, legs)) * sizes


# --- The exact distance ---------------------------------------------------------------------------


def test_distance_is_the_best_of_all_permutations(generator):
    for _ in range(5):
        a, b = torch.randn(2, 6, 3, generator=generator)
        cost = costs(a, b)
        best = min(cost[range(6), list(p)].mean() for p in itertools.permutations(range(6)))
        assert earth_mover_distance(a, b) == pytest.approx(best, rel=1e-12)


def test_distance_to_a_translated_cloud_is_the_shift(generator):
    # By the triangle inequality no matching has a smaller mean than the distance of the means.
    a = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    shift = torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64)
    shuffled = (a + shift)[torch.randperm(200, generator=generator)]
    assert earth_mover_distance(a, shuffled) == pytest.approx(1.3, rel=1e-12)


def test_distance_on_a_line_matches_sorted_points(generator):
    a, b = torch.zeros(2, 100, 3, dtype=torch.float64)
    a[:, 0] = torch.rand(100, generator=generator, dtype=torch.float64)
    b[:, 0] = torch.rand(100, generator=generator, dtype=torch.float64) * 3
    expected = (a[:, 0].sort().values - b[:, 0].sort().values).abs().mean()
    assert earth_mover_distance(a, b) == pytest.approx(float(expected), rel=1e-12)


def test_distance_to_itself_and_between_equal_points_is_zero(generator):
    a = torch.randn(50, 3, generator=generator)
    assert earth_mover_distance(a, a[torch.randperm(50, generator=generator)]) == 0
    assert earth_mover_distance(torch.ones(5, 3), torch.ones(5, 3)) == 0


@pytest.mark.parametrize("offset", [0, 100])
def test_distance_is_that_of_scipy_on_the_bare_costs(generator, offset):
    a, b = chairs(4, 256, generator), chairs(4, 256, generator) + offset
    for first, second in zip(a, b, strict=True):
        expected = reference_distance(first, second)
        assert earth_mover_distance(first, second) == pytest.approx(expected, rel=1e-12)


def test_distance_is_that_of_pot(generator):
    ot = pytest.importorskip("ot")
    a, b = chairs(3, 200, generator), torch.randn(3, 200, 3, generator=generator)
    for first, second in zip(a, b, strict=True):
        expected = float(ot.emd2([], [], costs(first, second)))  # [] means uniform weights
        assert earth_mover_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_pairwise_is_each_pair(generator):
    a, b = chairs(3, 60, generator), chairs(4, 60, generator)
    expected = np.array([[reference_distance(x, y) for y in b] for x in a])
    assert np.allclose(pairwise_earth_mover(a, b), expected, rtol=1e-12, atol=0)


def test_pairwise_of_one_set_is_that_of_the_set_with_itself(generator):
    a = chairs(5, 40, generator)
    once = pairwise_earth_mover(a)
    assert torch.equal(once, once.T)
    assert torch.allclose(once, pairwise_earth_mover(a, a), rtol=1e-12, atol=0)
    assert pairwise_earth_mover(a[:1]).tolist() == [[0]]


def test_pairwise_with_an_executor_is_the_same_and_leaves_it_open(generator):
    a, b = chairs(3, 40, generator), chairs(2, 40, generator)
    with ThreadPoolExecutor(2) as executor:
        for second in (b, None):
            expected = pairwise_earth_mover(a, second)
            assert torch.equal(pairwise_earth_mover(a, second, executor), expected)
        assert executor.submit(int).result() == 0


def test_pairwise_with_processes_is_the_same(generator):
    a = chairs(3, 40, generator)
    with earth_mover_workers(2) as executor:
        assert isinstance(executor, ProcessPoolExecutor)
        assert torch.equal(pairwise_earth_mover(a, None, executor), pairwise_earth_mover(a))


def test_one_worker_is_this_process():
    with earth_mover_workers(1) as executor:
        assert executor is None


def test_pairwise_reports_growing_fractions(generator):
    a = chairs(4, 10, generator)
    fractions: list[float] = []
    pairwise_earth_mover(a, progress=fractions.append)
    assert fractions == [3 / 6, 5 / 6, 1, 1]


def test_exact_distance_refuses_what_does_not_fit():
    a = torch.zeros(1, 4, 3)
    pairwise = inspect.unwrap(pairwise_earth_mover)
    for bad, words in (
        (torch.zeros(1, 5, 3), "same number of points, got 4 and 5"),
        (torch.zeros(0, 4, 3), "at least 1 shapes"),
        (torch.zeros(1, 4, 2), "(shapes, points, 3)"),
        (torch.full((1, 4, 3), torch.inf), "finite"),
    ):
        with pytest.raises(InputError) as error:
            pairwise(a, bad)
        assert words in str(error.value)
    with pytest.raises(InputError, match="shape"):
        inspect.unwrap(earth_mover_distance)(a, a)
    with pytest.raises(InputError, match="same number of points"):
        inspect.unwrap(earth_mover_distance)(a[0], a[0, :2])
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        earth_mover_workers(0).__enter__()


# --- The approximate distance ---------------------------------------------------------------------


def test_approximation_is_a_bound_and_as_good_as_its_docstring_says(generator):
    normal = torch.randn(8, 256, 3, generator=generator)
    for a, b in ((normal, normal.flip(0) * 0.5), (chairs(8, 256, generator), normal)):
        exact = torch.tensor([reference_distance(x, y) for x, y in zip(a, b, strict=True)])
        missing = 1 - approximate_earth_mover_distance(a, b) / exact
        assert missing.min() > -1e-6
        assert missing.mean() < 0.004
        assert missing.max() < 0.01


@pytest.mark.parametrize("offset", [0, 1000])
def test_approximation_stays_a_bound_at_every_scale(generator, offset):
    a, b = chairs(2, 100, generator)
    for scale in (1e-6, 1, 1e6):
        exact = reference_distance(a * scale, (b + offset) * scale)
        bound = float(approximate_earth_mover_distance(a * scale, (b + offset) * scale))
        assert 0.97 * exact < bound < exact * (1 + 1e-5)


def test_approximation_of_equal_clouds_is_zero(generator):
    a = torch.randn(2, 30, 3, generator=generator)
    a[1] = 1  # all points are equal, so all costs are 0
    assert approximate_earth_mover_distance(a, a.flip(1)).abs().max() < 1e-6


def test_approximation_does_not_depend_on_the_batch(generator):
    a, b = torch.randn(2, 2, 3, 50, 3, generator=generator)
    batch = approximate_earth_mover_distance(a, b)
    for i, j in itertools.product(range(2), range(3)):
        alone = approximate_earth_mover_distance(a[i, j], b[i, j])
        assert float(alone) == pytest.approx(float(batch[i, j]), rel=1e-4)


def test_approximation_refuses_what_does_not_fit():
    a = torch.zeros(2, 4, 3)
    approximate = inspect.unwrap(approximate_earth_mover_distance)
    for bad, words in (
        (torch.zeros(2, 5, 3), "equal shapes"),
        (torch.zeros(1, 4, 3), "equal shapes"),
        (torch.full((2, 4, 3), torch.nan), "finite"),
    ):
        with pytest.raises(InputError, match=words):
            approximate(a, bad)
    with pytest.raises(InputError, match="at least 1"):
        approximate(a[:, :0], a[:, :0])

"""Chamfer distance, nearest neighbours and farthest points against slow, obvious references."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from pcdiff.clouds.metrics.chamfer import chamfer_distance, pairwise_chamfer
from pcdiff.errors import InputError
from pcdiff.geometry.neighbours import knn_points, sample_farthest_points


def reference_chamfer(a, b):
    squared = cdist(a.double().numpy(), b.double().numpy(), "sqeuclidean")
    return squared.min(axis=0).mean() + squared.min(axis=1).mean()


def reference_matrix(first, second):
    return np.array([[reference_chamfer(a, b) for b in second] for a in first])


# --- pairwise_chamfer -----------------------------------------------------------------------------


@pytest.mark.parametrize(("points1", "points2"), [(1, 1), (7, 5), (100, 300), (1024, 1024)])
def test_pairwise_chamfer_is_the_reference(generator, points1, points2):
    a = torch.randn(3, points1, 3, generator=generator)
    b = torch.randn(12, points2, 3, generator=generator)
    assert np.allclose(pairwise_chamfer(a, b), reference_matrix(a, b), rtol=2e-6, atol=0)


def test_pairwise_chamfer_in_float64_is_the_reference(generator):
    a = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    b = torch.randn(3, 40, 3, generator=generator, dtype=torch.float64)
    assert np.allclose(pairwise_chamfer(a, b), reference_matrix(a, b), rtol=1e-13, atol=0)


def test_pairwise_chamfer_of_clouds_wider_than_a_block(generator):
    a = torch.randn(1, 20, 3, generator=generator)
    b = torch.randn(2, 9000, 3, generator=generator)
    assert np.allclose(pairwise_chamfer(a, b), reference_matrix(a, b), rtol=2e-6, atol=0)


def test_pairwise_chamfer_far_from_the_origin_keeps_its_digits(generator):
    # |p|² − 2p·q + |q|² without centring would be wrong by 100 % here.
    a = torch.randn(2, 200, 3, generator=generator) + 1000
    b = torch.randn(3, 200, 3, generator=generator) + 1000
    assert np.allclose(pairwise_chamfer(a, b), reference_matrix(a, b), rtol=5e-6, atol=0)


def test_pairwise_chamfer_of_nearly_equal_clouds(generator):
    a = torch.rand(1, 1000, 3, generator=generator) * 2 - 1
    b = a + 1e-3 * torch.randn(a.shape, generator=generator)
    assert np.allclose(pairwise_chamfer(a, b), reference_matrix(a, b), rtol=0, atol=5e-8)
    assert 0 <= float(pairwise_chamfer(a, a)) < 5e-8


def test_pairwise_chamfer_of_one_set_is_that_of_the_set_with_itself(generator):
    a = torch.randn(11, 900, 3, generator=generator)
    once = pairwise_chamfer(a)
    assert torch.equal(once, once.T)
    assert torch.equal(once.diagonal(), torch.zeros(11))
    apart = ~torch.eye(11, dtype=torch.bool)
    assert torch.allclose(once[apart], pairwise_chamfer(a, a)[apart], rtol=1e-6, atol=0)


def test_pairwise_chamfer_reports_growing_fractions(generator):
    a = torch.randn(4, 5, 3, generator=generator)
    for b in (None, a):
        fractions: list[float] = []
        pairwise_chamfer(a, b, fractions.append)
        assert fractions == sorted(fractions)
        assert fractions[0] > 0
        assert fractions[-1] == 1


def test_pairwise_chamfer_does_not_depend_on_the_order_of_points(generator):
    a, b = torch.randn(2, 2, 300, 3, generator=generator)
    shuffled = b[:, torch.randperm(300, generator=generator)]
    assert torch.allclose(pairwise_chamfer(a, b), pairwise_chamfer(a, shuffled), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((0, 4, 3), "at least 1 shapes"), ((2, 0, 3), "1 point"), ((2, 4, 2), "(2, 4, 2)"),
     ((4, 3), "(4, 3)")],
)  # fmt: skip
def test_pairwise_chamfer_refuses_other_shapes(shape, words):
    good, bad = torch.zeros(2, 4, 3), torch.zeros(shape)
    for a, b in ((good, bad), (bad, good)):
        with pytest.raises(InputError) as error:
            inspect.unwrap(pairwise_chamfer)(a, b)
        assert words in str(error.value)


def test_pairwise_chamfer_refuses_nan_and_integers():
    good, bad = torch.zeros(2, 4, 3), torch.zeros(2, 4, 3)
    bad[1, 2, 0] = torch.nan
    with pytest.raises(InputError, match="second set must be finite"):
        pairwise_chamfer(good, bad)
    with pytest.raises(InputError, match="must have a floating-point data type, got"):
        inspect.unwrap(pairwise_chamfer)(good.long())


# --- chamfer_distance -----------------------------------------------------------------------------


def test_chamfer_of_single_points_is_twice_the_squared_distance():
    x, y = torch.tensor([[[0.0, 0, 0]]]), torch.tensor([[[1.0, 2, 2]]])
    loss, normals = chamfer_distance(x, y)
    assert float(loss) == 18
    assert normals is None


def test_chamfer_by_hand():
    # From x: 0 and 4, mean 2. From y: 0, 1 and 9 - to (4, 0, 0) - mean 10/3.
    x = torch.tensor([[[0.0, 0, 0], [4, 0, 0]]])
    y = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [4, 3, 0]]])
    assert float(chamfer_distance(x, y)[0]) == pytest.approx((0 + 9) / 2 + (0 + 1 + 9) / 3)
    assert float(chamfer_distance(x, y, point_reduction="sum")[0]) == pytest.approx(9 + 10)


def test_chamfer_reductions(generator):
    x, y = torch.randn(2, 5, 30, 3, generator=generator)
    each = [reference_chamfer(a, b) for a, b in zip(x, y, strict=True)]
    apart, _ = chamfer_distance(x, y, batch_reduction=None)
    assert np.allclose(apart, each, rtol=1e-6)
    assert float(chamfer_distance(x, y)[0]) == pytest.approx(np.mean(each), rel=1e-6)
    total, _ = chamfer_distance(x, y, batch_reduction="sum")
    assert float(total) == pytest.approx(np.sum(each), rel=1e-6)


def test_chamfer_counts_only_points_within_the_lengths(generator):
    x, y = torch.randn(2, 3, 20, 3, generator=generator)
    x_lengths, y_lengths = torch.tensor([20, 1, 7]), torch.tensor([5, 20, 1])
    x[1, 1:], y[0, 5:] = 1e6, -1e6  # padding that would change the result
    apart, _ = chamfer_distance(x, y, x_lengths, y_lengths, batch_reduction=None)
    each = [reference_chamfer(x[n, : x_lengths[n]], y[n, : y_lengths[n]]) for n in range(len(x))]
    assert np.allclose(apart, each, rtol=1e-6)


def test_chamfer_gradient_is_the_finite_difference(generator):
    x = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: chamfer_distance(a, b)[0], (x, y))


def test_chamfer_refuses_unknown_reductions():
    x = torch.zeros(1, 2, 3)
    for option in ({"batch_reduction": "max"}, {"point_reduction": None}):
        with pytest.raises(InputError, match="reduction must be"):
            inspect.unwrap(chamfer_distance)(x, x, **option)


# --- knn_points -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [2, 3])
def test_knn_is_the_reference(generator, dims):
    p1 = torch.randn(2, 40, dims, generator=generator) + 50
    p2 = torch.randn(2, 60, dims, generator=generator) + 50
    found = knn_points(p1, p2, K=4, return_nn=True)
    for n in range(2):
        squared = cdist(p1[n].double().numpy(), p2[n].double().numpy(), "sqeuclidean")
        assert np.array_equal(found.idx[n], squared.argsort(axis=1)[:, :4])
        assert np.allclose(found.dists[n], np.sort(squared, axis=1)[:, :4], rtol=1e-5)
        assert torch.equal(found.knn[n], p2[n][found.idx[n]])


def test_knn_pads_with_zeros():
    p1 = torch.tensor([[[0.0, 0, 0], [9, 9, 9]], [[1, 0, 0], [0, 2, 0]]])
    p2 = torch.tensor([[[3.0, 0, 0], [1, 0, 0], [0, 0, 0]], [[5, 0, 0], [0, 0, 0], [1, 0, 0]]])
    lengths1, lengths2 = torch.tensor([1, 2]), torch.tensor([2, 1])
    found = knn_points(p1, p2, lengths1, lengths2, K=4, return_nn=True)
    assert found.idx.tolist() == [
        [[1, 0, 0, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 0]],
    ]
    assert found.dists.tolist() == [
        [[1, 9, 0, 0], [0, 0, 0, 0]],
        [[16, 0, 0, 0], [29, 0, 0, 0]],
    ]
    assert found.knn[0, 0].tolist() == [[1, 0, 0], [3, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert knn_points(p1, p2).knn is None


def test_knn_distances_are_exact_where_the_matrix_product_rounds(generator):
    p2 = torch.rand(1, 500, 3, generator=generator)
    p1 = p2 + 1e-4 * torch.randn(p2.shape, generator=generator)
    squared = cdist(p1[0].double().numpy(), p2[0].double().numpy(), "sqeuclidean")
    assert np.allclose(knn_points(p1, p2).dists[0, :, 0], squared.min(axis=1), rtol=1e-5, atol=0)


def test_knn_refuses_what_does_not_fit():
    clouds = torch.zeros(2, 4, 3)
    knn = inspect.unwrap(knn_points)
    for bad in (torch.zeros(2, 4, 2), torch.zeros(1, 4, 3), torch.zeros(4, 3)):
        with pytest.raises(InputError, match="equal batch and dims"):
            knn(clouds, bad)
    with pytest.raises(InputError, match="empty"):
        knn(clouds, torch.zeros(2, 0, 3))
    with pytest.raises(InputError, match="finite"):
        knn(clouds, clouds * torch.nan)
    with pytest.raises(InputError, match="at least 1"):
        knn(clouds, clouds, K=0)
    for lengths in ([4, 0], [5, 1], [4]):
        with pytest.raises(InputError, match="second lengths must"):
            knn(clouds, clouds, None, torch.tensor(lengths))


# --- sample_farthest_points -----------------------------------------------------------------------


def reference_farthest(cloud, count, start=0):
    chosen = [start]
    while len(chosen) < min(count, len(cloud)):
        rest = [i for i in range(len(cloud)) if i not in chosen]
        distances = [min(float((cloud[i] - cloud[j]).square().sum()) for j in chosen) for i in rest]
        chosen.append(rest[int(np.argmax(distances))])
    return chosen


def test_farthest_points_are_the_reference(generator):
    points = torch.randn(3, 40, 3, generator=generator)
    lengths = torch.tensor([40, 25, 6])
    selected, indices = sample_farthest_points(points, lengths, K=10)
    for n, length in enumerate(lengths.tolist()):
        expected = reference_farthest(points[n, :length], 10)
        padding = 10 - len(expected)
        assert indices[n].tolist() == expected + [-1] * padding
        assert torch.equal(selected[n, : len(expected)], points[n, expected])
        assert not selected[n, len(expected) :].any()


def test_farthest_points_start_where_the_generator_says(generator):
    points = torch.randn(200, 5, 3, generator=generator)
    lengths = torch.full((200,), 4)
    seeded = [torch.Generator().manual_seed(7) for _ in range(2)]
    first, again = (sample_farthest_points(points, lengths, 3, g)[1] for g in seeded)
    assert torch.equal(first, again)
    assert set(first[:, 0].tolist()) == {0, 1, 2, 3}
    for n in range(20):
        assert first[n].tolist() == reference_farthest(points[n, :4], 3, int(first[n, 0]))


def test_farthest_points_are_distinct_among_equal_points():
    assert sample_farthest_points(torch.zeros(1, 4, 3), K=4)[1].tolist() == [[0, 1, 2, 3]]


def test_farthest_points_refuse_what_does_not_fit():
    sample = inspect.unwrap(sample_farthest_points)
    with pytest.raises(InputError, match="not empty"):
        sample(torch.zeros(1, 0, 3))
    with pytest.raises(InputError, match="at least 1"):
        sample(torch.zeros(1, 4, 3), K=0)
    with pytest.raises(InputError, match="lengths must lie"):
        sample(torch.zeros(1, 4, 3), torch.tensor([5]))

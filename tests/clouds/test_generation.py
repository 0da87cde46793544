"""Metrics of generated sets against hand-made examples, loops and closed forms."""

from __future__ import annotations

import inspect
import itertools
import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon

from pcdiff.clouds.canonical import read_clouds
from pcdiff.clouds.metrics.generation import (
    coverage,
    floor,
    generation_metrics,
    jensen_shannon_divergence,
    minimum_matching_distance,
    nearest_training_distance,
    one_nearest_neighbour_accuracy,
    prepare_reference,
    summarize,
)
from pcdiff.clouds.scale import normalize_to_box, subsample
from pcdiff.errors import InputError
from pcdiff.randomness import seeded


def line_metrics(generated, reference):
    """The three metrics of numbers on a line, whose distances are easy to check."""
    g, r = (torch.tensor(each, dtype=torch.float64)[:, None] for each in (generated, reference))
    across = torch.cdist(g, r)
    accuracy = one_nearest_neighbour_accuracy(torch.cdist(g, g), across, torch.cdist(r, r))
    return accuracy, coverage(across), minimum_matching_distance(across)


def boxes(count, points, generator):
    """Points on random boxes, box-normalised."""
    sides = 0.3 + torch.rand(count, 1, 3, generator=generator)
    cloud = torch.rand(count, points, 3, generator=generator) * sides
    return normalize_to_box(cloud)[0]


# --- From matrices of distances -------------------------------------------------------------------


def test_metrics_by_hand():
    accuracy, covered, matching = line_metrics([0, 1, 10], [0.4, 20, 22])
    # Nearest in the same set: 10→1, 20→22, 22→20. In the other set: 0→0.4, 1→0.4, 0.4→0.
    assert accuracy == pytest.approx(3 / 6)
    # 0, 1 and 10 all have 0.4 as their nearest reference.
    assert covered == pytest.approx(1 / 3)
    assert matching == pytest.approx((0.4 + 10 + 12) / 3)


def test_accuracy_of_far_apart_sets_is_one_and_of_copies_is_zero():
    assert line_metrics([0, 1, 2], [100, 101, 102])[0] == 1
    assert line_metrics([0, 10, 20], [0, 10, 20]) == (0, 1, 0)


def test_accuracy_counts_a_tie_as_one_half():
    # 0 lies midway between its own 2 and the other set's -2; so does -2; 2→0 and -9→-2 are own.
    assert line_metrics([0, 2], [-2, -9])[0] == pytest.approx((0.5 + 1 + 0 + 1) / 4)
    assert line_metrics([0, 2], [-2, -4])[0] == pytest.approx((0.5 + 1 + 0.5 + 1) / 4)
    # All shapes are equal, so all neighbours tie.
    assert line_metrics([3, 3], [3, 3])[0] == 0.5


def test_a_collapsed_generator_covers_one_shape():
    accuracy, covered, matching = line_metrics([5, 5, 5, 5], [0, 4, 11, 12])
    assert accuracy == pytest.approx((4 + 3) / 8)  # among the reference only 4 is closer to 5
    assert covered == 0.25
    assert matching == pytest.approx((5 + 1 + 6 + 7) / 4)


def test_accuracy_is_that_of_the_loop(generator):
    shapes = torch.randn(14, 2, generator=generator, dtype=torch.float64)
    distance = torch.cdist(shapes, shapes)
    right = 0
    for i in range(14):
        nearest = min((j for j in range(14) if j != i), key=lambda j: float(distance[i, j]))
        right += (i < 7) == (nearest < 7)
    accuracy = one_nearest_neighbour_accuracy(distance[:7, :7], distance[:7, 7:], distance[7:, 7:])
    assert accuracy == pytest.approx(right / 14)


def test_accuracy_of_one_distribution_is_one_half(generator):
    # The standard deviation of the mean over 40 pairs of sets of 50 is near 0.01.
    accuracies = [
        line_metrics(*torch.randn(2, 50, generator=generator, dtype=torch.float64).tolist())[0]
        for _ in range(40)
    ]
    assert sum(accuracies) / 40 == pytest.approx(0.5, abs=0.035)


def test_metrics_do_not_depend_on_the_order_of_shapes(generator):
    g, r = torch.randn(2, 20, generator=generator, dtype=torch.float64).tolist()
    order = torch.randperm(20, generator=generator).tolist()
    assert line_metrics([g[i] for i in order], r) == pytest.approx(line_metrics(g, r))
    assert line_metrics(g, [r[i] for i in order]) == pytest.approx(line_metrics(g, r))


def test_accuracy_ignores_the_diagonal():
    across = torch.full((3, 3), 2.0)
    one = torch.ones(3, 3)
    for diagonal in (0, 9):
        within = one.clone().fill_diagonal_(diagonal)
        assert one_nearest_neighbour_accuracy(within, across, within) == 1


def test_metrics_refuse_what_does_not_fit():
    accuracy = inspect.unwrap(one_nearest_neighbour_accuracy)
    two, three, one = torch.zeros(2, 2), torch.zeros(3, 3), torch.zeros(1, 1)
    for matrices in ((two, two, three), (two, torch.zeros(2, 3), three), (one, one, one)):
        with pytest.raises(InputError, match="equal size with at least 2"):
            accuracy(*matrices)
    for metric in (coverage, minimum_matching_distance):
        for bad in (torch.zeros(0, 2), torch.zeros(2, 0), torch.zeros(2)):
            with pytest.raises(InputError, match="must be a non-empty matrix, got shape"):
                inspect.unwrap(metric)(bad)
        with pytest.raises(InputError, match="finite"):
            metric(two * torch.nan)
    with pytest.raises(InputError, match="reference-reference distances must be finite"):
        accuracy(two, two, two / 0)


# --- Jensen-Shannon divergence --------------------------------------------------------------------


def test_divergence_of_equal_sets_is_zero_and_of_disjoint_ones_a_bit(generator):
    a = torch.rand(3, 500, 3, generator=generator)
    assert jensen_shannon_divergence(a, a.flip(0, 1)) == 0
    assert jensen_shannon_divergence(a, -a - 1e-6) == pytest.approx(1, rel=1e-12)


def test_divergence_by_hand():
    # Shares (1, 0) against (1/2, 1/2).
    a = torch.tensor([[[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]])
    b = torch.tensor([[[0.5, 0.5, 0.5]], [[-0.5, 0.5, 0.5]]])
    expected = 0.5 * math.log2(1 / 0.75) + 0.5 * (
        0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25)
    )
    assert jensen_shannon_divergence(a, b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("resolution", [1, 5, 28])
def test_divergence_is_that_of_scipy_on_counts_by_loop(generator, resolution):
    a, b = boxes(3, 200, generator), boxes(2, 150, generator)

    def shares(clouds):
        counts = dict.fromkeys(itertools.product(range(resolution), repeat=3), 0)
        for x in clouds.reshape(-1, 3).tolist():
            cell = tuple(min(int((c + 1) / 2 * resolution), resolution - 1) for c in x)
            counts[cell] += 1
        return list(counts.values())

    expected = jensenshannon(shares(a), shares(b), base=2) ** 2 if resolution > 1 else 0
    assert jensen_shannon_divergence(a, b, resolution) == pytest.approx(expected, rel=1e-9)


def test_divergence_takes_the_corners_of_the_cube():
    corners = torch.tensor([list(itertools.product((-1.0, 1.0), repeat=3))])
    assert jensen_shannon_divergence(corners, corners[:, :4]) == pytest.approx(
        -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)) - 0.5, rel=1e-9
    )  # the entropy of the mean, 8 bits apart, minus the mean entropy (3 + 2) / 2


def test_divergence_refuses_clouds_outside_the_cube():
    a = torch.zeros(1, 2, 3)
    with pytest.raises(InputError, match="second set must lie in the cube"):
        jensen_shannon_divergence(a, a + 1.001)
    with pytest.raises(InputError, match="resolution must be at least 1"):
        jensen_shannon_divergence(a, a, 0)
    with pytest.raises(InputError, match="at least 1 shapes"):
        jensen_shannon_divergence(a, a[:0])


# --- Sets of clouds -------------------------------------------------------------------------------


def test_nearest_training_distance_finds_the_copy(generator):
    train = boxes(6, 64, generator)
    copies = train[[4, 1]][:, torch.randperm(64, generator=generator)]
    assert nearest_training_distance(copies, train).max() < 1e-6
    held_out = boxes(2, 64, generator)
    assert nearest_training_distance(held_out, train).min() > 1e-3


def test_generation_metrics_of_a_copied_reference(generator):
    clouds = boxes(6, 40, generator)
    reference = prepare_reference(clouds, emd_points=40)
    assert generation_metrics(clouds, reference) == pytest.approx(
        {"1-nna-cd": 0, "cov-cd": 1, "mmd-cd": 0, "1-nna-emd": 0, "cov-emd": 1, "mmd-emd": 0,
         "jsd": 0},
        abs=1e-6,
    )  # fmt: skip


def test_generation_metrics_are_those_of_the_matrices(generator):
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    generated, clouds = boxes(5, 40, generator), boxes(5, 40, generator)

    def chamfer(a, b):
        squared = cdist(a, b, "sqeuclidean")
        return squared.min(0).mean() + squared.min(1).mean()

    def earth_mover(a, b):
        cost = cdist(a[:16], b[:16])
        return cost[linear_sum_assignment(cost)].mean()

    expected = {"jsd": jensen_shannon_divergence(generated, clouds)}
    for name, distance in (("cd", chamfer), ("emd", earth_mover)):
        gg, gr, rr = (
            torch.tensor([[distance(a.numpy(), b.numpy()) for b in second] for a in first])
            for first, second in ((generated, generated), (generated, clouds), (clouds, clouds))
        )
        expected[f"1-nna-{name}"] = one_nearest_neighbour_accuracy(gg, gr, rr)
        expected[f"cov-{name}"] = coverage(gr)
        expected[f"mmd-{name}"] = minimum_matching_distance(gr)
    reference = prepare_reference(clouds, emd_points=16)
    assert generation_metrics(generated, reference) == pytest.approx(expected, rel=1e-5)


def test_generation_metrics_use_the_asked_distances_and_report_progress(generator):
    clouds = boxes(3, 10, generator)
    fractions: list[float] = []
    reference = prepare_reference(clouds, ["cd"])
    result = generation_metrics(boxes(3, 10, generator), reference, progress=fractions.append)
    assert result.keys() == {"1-nna-cd", "cov-cd", "mmd-cd", "jsd"}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_generation_metrics_refuse_what_does_not_fit(generator):
    clouds = boxes(3, 10, generator)
    prepare, compare = inspect.unwrap(prepare_reference), inspect.unwrap(generation_metrics)
    reference = prepare(clouds, ["cd"])
    for bad, words in (
        (clouds[:2], "the array shape of the reference set, (3, 10, 3), got (2, 10, 3)"),
        (clouds[:, :9], "the array shape of the reference set, (3, 10, 3), got (3, 9, 3)"),
        (clouds[:0], "at least 2 shapes"),
        (clouds * 2, "cube"),
        (clouds * torch.nan, "finite"),
        (clouds[..., :2], "(shapes, points, 3)"),
    ):
        with pytest.raises(InputError) as error:
            compare(bad, reference)
        assert words in str(error.value)
    for options, words in (
        ((clouds[:1],), "at least 2 shapes"),
        ((clouds, ["emd"]), "emd_points must be from 1 to 10, .*, got 512"),
        ((clouds, ["f-score"]), "'cd' or 'emd'"),
    ):
        with pytest.raises(InputError, match=words):
            prepare(*options)


def test_floor_is_the_metrics_of_random_subsets(generator):
    train, test = boxes(9, 20, generator), boxes(4, 20, generator)
    reference = prepare_reference(test, ["cd"])
    result = floor(train, reference, 3, seeded(5))
    draws = seeded(5)
    expected = summarize(
        [
            generation_metrics(train[torch.randperm(9, generator=draws)[:4]], reference)
            for _ in range(3)
        ]
    )
    assert result == expected
    assert result["mmd-cd"].std > 0


def test_floor_refuses_too_few_training_shapes(generator):
    reference = prepare_reference(boxes(4, 20, generator), ["cd"])
    with pytest.raises(
        InputError, match="at least 4 training shapes, one per reference shape, got 3"
    ):
        floor(boxes(3, 20, generator), reference, 2, generator)
    with pytest.raises(InputError, match="draws must be at least 1"):
        floor(boxes(4, 20, generator), reference, 0, generator)


def test_summary_is_mean_and_sample_deviation():
    summary = summarize([{"a": 1.0, "b": 2}, {"a": 4.0, "b": 2}])
    assert summary["a"].mean == 2.5
    assert summary["a"].std == pytest.approx(math.sqrt(4.5))
    assert summary["b"].std == 0
    assert summarize([{"a": 1.0}])["a"].std is None


def test_floor_of_real_chairs(shared_data):
    # From 400 draws: 53.1 ± 3.5 %, 54.0 ± 3.2 %, (23.2 ± 0.6)e-3.
    path = shared_data / "modelnet10_chairs.hdf5"
    train, test = (
        normalize_to_box(subsample(read_clouds(path, "chair", split), 1024, seeded(0, word)))[0]
        for word, split in enumerate(("train", "test"), start=1)
    )
    draw = floor(train, prepare_reference(test, ["cd"]), 1, seeded(0, 3))
    assert draw["1-nna-cd"].mean == pytest.approx(0.531, abs=3 * 0.035)
    assert draw["cov-cd"].mean == pytest.approx(0.540, abs=3 * 0.032)
    assert draw["mmd-cd"].mean == pytest.approx(23.2e-3, abs=3 * 0.6e-3)

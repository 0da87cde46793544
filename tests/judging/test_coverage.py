"""Coverage and earth mover's distance against slow loops, closed forms and POT."""

from __future__ import annotations

import itertools
import math

import jaxtyping
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.judging.coverage import (
    coverage,
    earth_movers_distance,
    first_cover,
    precision_coverage_curve,
)
from grasp.poses.distances import pose_distances
from grasp.poses.subsets import thin
from pcdiff.errors import InputError
from tests.poses.poses import R_Z_PI, pose, random_poses, scattered, slow_distances


@pytest.mark.parametrize("length", [0.0, -0.1, math.inf, math.nan])
def test_invalid_lengths_are_refused(length, rng):
    poses = random_poses(2, rng)
    for distance in (pose_distances, earth_movers_distance):
        with pytest.raises(InputError, match="length must be positive and finite"):
            distance(poses, poses, length)


def test_earth_movers_distance_is_the_minimum_over_all_permutations(rng):
    a, b = random_poses(6, rng), random_poses(6, rng)
    distances = pose_distances(a, b)
    got = earth_movers_distance(a, b)
    costs = (distances.rotation, distances.translation / 0.1, distances.combined)
    for value, cost in zip(got, costs, strict=True):
        best = min(cost[range(6), list(p)].mean() for p in itertools.permutations(range(6)))
        assert value == pytest.approx(best, rel=1e-12)


def test_earth_movers_distance_matches_pot(rng):
    import ot

    a, b = random_poses(60, rng), random_poses(60, rng)
    distances = pose_distances(a, b)
    weights = np.full(60, 1 / 60)
    got = earth_movers_distance(a, b)
    assert got.rotation == pytest.approx(ot.emd2(weights, weights, distances.rotation))
    assert got.translation == pytest.approx(ot.emd2(weights, weights, distances.translation / 0.1))
    assert got.combined == pytest.approx(ot.emd2(weights, weights, distances.combined))
    assert got.combined >= max(got.rotation, got.translation)


def test_earth_movers_distance_matches_closed_forms(rng):
    poses = random_poses(40, rng)
    shuffled = poses[rng.permutation(40)]
    assert earth_movers_distance(poses, shuffled @ R_Z_PI) == (0, 0, 0)
    # The grasps are 1 m apart, so only the right matching is optimal.
    apart = poses.copy()
    apart[:, :3, 3] = np.arange(40)[:, None] * [1, 0, 0]
    moved = apart @ pose(Rotation.from_euler("y", 0.3), (0, 0.02, 0))
    got = earth_movers_distance(apart, moved[rng.permutation(40)])
    assert got.translation == pytest.approx(0.02 / 0.1)
    assert got.combined == pytest.approx(math.hypot(0.3, 0.2))
    assert got.rotation <= 0.3 + 1e-12


@pytest.mark.parametrize(("n", "m"), [(3, 4), (0, 0), (0, 2)])
def test_earth_movers_distance_needs_equally_large_sets(n, m, rng):
    poses = random_poses(5, rng)
    with pytest.raises(InputError, match=f"at least 1, got {n} and {m}"):
        earth_movers_distance(poses[:n], poses[:m])


def slow_first(samples, positives, translation, rotation):
    first = []
    for positive in positives:
        for place, sample in enumerate(samples):
            angle, distance = slow_distances(sample, positive)
            if angle <= rotation and distance <= translation:
                first.append(place)
                break
        else:
            first.append(len(samples))
    return np.array(first)


def test_coverage_and_curve_match_slow_loops(rng):
    samples, positives = scattered(rng)
    success = rng.uniform(size=60) < 0.6
    first = slow_first(samples, positives, 0.01, math.radians(15))
    assert 5 < (first < 60).sum() < 35  # some positives are covered and some are not
    np.testing.assert_array_equal(first_cover(samples, positives), first)
    assert coverage(samples, positives) == (first < 60).mean()
    curve = precision_coverage_curve(samples, success, positives)
    area = 0.0
    for k in range(1, 61):
        assert curve.precision[k - 1] == pytest.approx(success[:k].mean())
        assert curve.coverage[k - 1] == coverage(samples[:k], positives)
        before = curve.coverage[k - 2] if k > 1 else 0
        area += curve.precision[k - 1] * (curve.coverage[k - 1] - before)
    assert curve.area == pytest.approx(area)


def test_coverage_just_inside_and_outside_its_thresholds(rng):
    positives = random_poses(300, rng, spread=1.0)  # far apart and more than one block
    for about, angle in itertools.product("xyz", (14.99, 15.01)):
        turn = pose(Rotation.from_euler(about, angle, degrees=True))
        expected = float(angle < 15)
        assert coverage(positives @ turn, positives) == expected
        assert coverage(positives @ turn @ R_Z_PI, positives) == expected
    for distance in (0.00999, 0.01001):
        moved = positives @ pose(translation=(0, distance, 0))
        assert coverage(moved, positives) == float(distance < 0.01)


def test_coverage_of_all_half_and_none(rng):
    positives = random_poses(20, rng)
    assert coverage(positives, positives) == 1
    assert coverage(positives[:10], positives) == 0.5
    assert coverage(positives[:0], positives) == 0
    with pytest.raises(InputError, match="positives must not be empty"):
        coverage(positives, positives[:0])


def test_the_area_is_one_for_a_perfect_source_and_zero_for_a_wrong_one(rng):
    positives = random_poses(20, rng, spread=1.0)
    perfect = precision_coverage_curve(positives, np.ones(20, bool), positives)
    np.testing.assert_array_equal(perfect.precision, 1)
    np.testing.assert_allclose(perfect.coverage, np.arange(1, 21) / 20)
    assert perfect.area == pytest.approx(1)
    far = positives @ pose(translation=(1, 0, 0))
    assert precision_coverage_curve(far, np.ones(20, bool), positives).area == 0
    with pytest.raises(InputError, match="samples must not be empty"):
        precision_coverage_curve(positives[:0], np.ones(0, bool), positives)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"translation": -0.1}, "translation must be finite and at least 0, got -0.1"),
        ({"rotation": math.nan}, "rotation must be finite and at least 0, got nan"),
    ],
)
def test_invalid_thresholds_are_refused(options, sentence, rng):
    poses = random_poses(2, rng)
    with pytest.raises(InputError, match=sentence):
        coverage(poses, poses, **options)
    with pytest.raises(InputError, match=sentence):
        thin(poses, **options)


def test_poses_that_are_not_finite_are_refused(rng):
    good, bad = random_poses(4, rng), random_poses(4, rng)
    bad[2, 0, 3] = np.nan
    for measure in (coverage, earth_movers_distance, pose_distances):
        for pair in ((good, bad), (bad, good)):
            with pytest.raises(
                InputError, match="must be finite, but pose 2 has a number that is not finite"
            ):
                measure(*pair)
    with pytest.raises(
        InputError, match="must be finite, but pose 2 has a number that is not finite"
    ):
        thin(bad)


def test_arrays_of_mismatched_shapes_are_refused(rng):
    poses = random_poses(4, rng)
    # Only these tests enforce the annotated shapes, so users rely on the checks below.
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        for length in (3, 5):
            with pytest.raises(InputError, match="one value for each of the 4 samples"):
                precision_coverage_curve(poses, np.ones(length, bool), poses)
        with pytest.raises(InputError, match=r"samples must have shape \(n, 4, 4\)"):
            coverage(poses[0], poses)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)

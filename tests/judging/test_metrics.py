"""The metrics of grasps against closed forms, textbook figures, slow loops, SciPy and POT."""

from __future__ import annotations

import itertools
import math

import jaxtyping
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.judging.calibration import platt_scaling, reliability
from grasp.judging.coverage import (
    coverage,
    earth_movers_distance,
    first_cover,
    precision_coverage_curve,
)
from grasp.judging.proportions import (
    cluster_bootstrap,
    fits,
    success_at_top,
    success_rate,
    wilson_interval,
)
from grasp.poses.distances import pose_distances
from grasp.poses.subsets import spread, thin
from pcdiff.errors import InputError

R_Z_PI = np.diag([-1.0, -1, 1, 1])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pose(rotation=None, translation=(0, 0, 0)):
    transform = np.eye(4)
    if rotation is not None:
        transform[:3, :3] = rotation.as_matrix()
    transform[:3, 3] = translation
    return transform


def random_poses(count, rng, spread=0.1):
    rotations = Rotation.random(count, rng)
    return np.stack([pose(r, rng.normal(0, spread, 3)) for r in rotations])


def near(poses, rng, translation, rotation):
    """Each pose moved by about these amounts in its own frame, and half of them turned by π."""
    moved = [
        H
        @ pose(Rotation.from_rotvec(rng.normal(0, rotation, 3)), rng.normal(0, translation, 3))
        @ (R_Z_PI if rng.uniform() < 0.5 else np.eye(4))
        for H in poses
    ]
    return np.stack(moved)


def slow_distances(a, b):
    """Angle and translation of one pair, by SciPy's rotations."""
    straight = Rotation.from_matrix(a[:3, :3]).inv() * Rotation.from_matrix(b[:3, :3])
    turned = straight * Rotation.from_euler("z", math.pi)
    angle = min(straight.magnitude(), turned.magnitude())
    return angle, math.dist(a[:3, 3], b[:3, 3])


# --- Intervals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_newcombes(successes, trials, low, high):
    got = wilson_interval(successes, trials)
    assert got == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (3, 7), (7, 7), (500, 1000)])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_wilson_interval_is_scipys(successes, trials, confidence):
    from scipy.stats import binomtest

    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    got = wilson_interval(successes, trials, confidence)
    assert got == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_is_known_of_no_trials():
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((3, 2), "0 to 2, the number of trials, got 3"),
        ((-1, 2), "got -1"),
        ((1, 2, 1.0), "confidence must be between 0 and 1, got 1.0"),
    ],
)
def test_wilson_interval_refuses_what_is_no_proportion(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        wilson_interval(*arguments)


def test_success_rate_and_success_at_top():
    success = np.array([True, True, False, True, False, False, False, False])
    assert success_rate(success).value == 3 / 8
    assert success_rate(success)[1:] == wilson_interval(3, 8)
    assert success_at_top(success, 4) == 3 / 4
    assert success_at_top(success, 1) == 1
    assert success_at_top(success) == 3 / 8  # fewer than 20: all of them
    for figure in (success_rate, success_at_top):
        with pytest.raises(InputError, match="must not be empty"):
            figure(np.zeros(0, bool))
    with pytest.raises(InputError, match="k must be at least 1"):
        success_at_top(success, 0)


def test_an_object_fits_with_20_successes_among_2000():
    success = np.zeros(3000, bool)
    success[1981:] = True
    assert not fits(success)  # 19 among the first 2000
    success[1980] = True
    assert fits(success)
    assert fits(np.ones(20, bool))
    assert not fits(np.zeros(0, bool))


def test_bootstrap_is_reproducible_and_follows_its_generator(rng):
    values = [rng.uniform(size=20) < p for p in (0.1, 0.4, 0.9)]
    first, again, other = (
        cluster_bootstrap(values, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.value == other.value == pytest.approx(np.concatenate(values).mean())


def test_bootstrap_of_two_objects_has_the_exact_distribution():
    # Drawn twice from {0 of 1, 1 of 3 values that are 1}: means 0 (1/4), 3/4 (1/2), 1 (1/4).
    values = [np.zeros(1), np.ones(3)]
    rng = np.random.default_rng(0)
    assert cluster_bootstrap(values, rng, confidence=0.4) == (0.75, 0.75, 0.75)
    assert cluster_bootstrap(values, rng, confidence=0.6) == (0.75, 0, 1)


def test_bootstrap_is_the_same_in_blocks(rng, monkeypatch):
    values = [rng.uniform(size=5) for _ in range(7)]
    whole = cluster_bootstrap(values, np.random.default_rng(0), resamples=999)
    slow = np.random.default_rng(0)
    drawn = [np.concatenate([values[i] for i in slow.integers(7, size=7)]) for _ in range(999)]
    means = [each.mean() for each in drawn]
    assert whole[1:] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=1e-12)


def test_bootstrap_covers_the_truth_where_objects_differ_and_grasps_do_not():
    # 40 objects, each all success or all failure with probability 0.3: 400 grasps that are worth
    # 40. The interval over objects holds the truth about as often as it says; Wilson's over grasps,
    # which takes them as independent, does not.
    rng = np.random.default_rng(0)
    by_object = by_grasp = 0
    repetitions = 300
    for _ in range(repetitions):
        held = rng.uniform(size=40) < 0.3
        estimate = cluster_bootstrap([np.full(10, h) for h in held], rng, resamples=400)
        by_object += estimate.low <= 0.3 <= estimate.high
        low, high = wilson_interval(int(held.sum()) * 10, 400)
        by_grasp += low <= 0.3 <= high
    assert 0.90 <= by_object / repetitions <= 0.98
    assert by_grasp / repetitions < 0.6


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        ([np.ones(3)], {}, "at least 2 objects, got 1"),
        ([], {}, "got 0"),
        ([np.ones(3), np.ones(0)], {}, "the values of object 1 must not be empty"),
        ([np.ones(3), np.full(2, np.nan)], {}, "the values of object 1 must be finite"),
        ([np.ones(3)] * 2, {"resamples": 0}, "resamples must be at least 1"),
        ([np.ones(3)] * 2, {"confidence": 0.0}, "confidence must be between"),
    ],
)
def test_bootstrap_refuses_what_has_no_spread_to_tell(values, options, sentence, rng):
    with pytest.raises(InputError, match=sentence):
        cluster_bootstrap(values, rng, **options)


# --- Distances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 1e-9, 1e-4, 0.3, 1.5])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_distance_of_a_known_motion(angle, axis, rng):
    start = random_poses(1, rng)
    motion = pose(Rotation.from_rotvec(angle * np.array(axis)), (0.03, 0, -0.04))
    got = pose_distances(start, start @ motion, length=0.2)
    assert got.rotation == pytest.approx(angle, abs=1e-15, rel=1e-6)
    assert got.translation == pytest.approx(0.05)
    assert got.combined == pytest.approx(math.hypot(angle, 0.25), rel=1e-9)


def test_half_a_turn_of_the_jaw_is_no_distance(rng):
    poses = random_poses(20, rng)
    got = pose_distances(poses, poses @ R_Z_PI)
    np.testing.assert_array_equal(np.diag(got.rotation), 0)
    np.testing.assert_array_equal(np.diag(got.combined), 0)
    for about_z in (0.4, math.pi - 0.4, math.pi + 0.4):
        turned = poses @ pose(Rotation.from_euler("z", about_z))
        np.testing.assert_allclose(np.diag(pose_distances(poses, turned).rotation), 0.4)


def test_no_two_jaws_are_more_than_half_a_turn_apart():
    # Approaching from the opposite side: π whichever way the jaw is turned.
    flipped = pose(Rotation.from_euler("x", math.pi))[None]
    got = pose_distances(np.eye(4)[None], flipped).rotation
    assert got == pytest.approx(math.pi, abs=1e-7)


def test_distances_are_scipys_pair_by_pair(rng):
    a, b = random_poses(15, rng), random_poses(12, rng)
    got = pose_distances(a, b, length=0.07)
    for i, j in itertools.product(range(15), range(12)):
        angle, translation = slow_distances(a[i], b[j])
        assert got.rotation[i, j] == pytest.approx(angle, abs=1e-7)
        assert got.translation[i, j] == pytest.approx(translation)
        assert got.combined[i, j] == pytest.approx(math.hypot(angle, translation / 0.07))


def test_distances_do_not_depend_on_where_the_object_stands(rng):
    a, b = random_poses(5, rng), random_poses(6, rng)
    T_world_object = random_poses(1, rng)
    here = pose_distances(a, b)
    there = pose_distances(T_world_object @ a, T_world_object @ b)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("length", [0.0, -0.1, math.inf, math.nan])
def test_length_is_a_length(length, rng):
    poses = random_poses(2, rng)
    for distance in (pose_distances, earth_movers_distance):
        with pytest.raises(InputError, match="length must be positive and finite"):
            distance(poses, poses, length)


# --- Earth mover's distance -----------------------------------------------------------------------


def test_earth_movers_distance_is_the_best_of_all_permutations(rng):
    a, b = random_poses(6, rng), random_poses(6, rng)
    distances = pose_distances(a, b)
    got = earth_movers_distance(a, b)
    costs = (distances.rotation, distances.translation / 0.1, distances.combined)
    for value, cost in zip(got, costs, strict=True):
        best = min(cost[range(6), list(p)].mean() for p in itertools.permutations(range(6)))
        assert value == pytest.approx(best, rel=1e-12)


def test_earth_movers_distance_is_pots(rng):
    import ot

    a, b = random_poses(60, rng), random_poses(60, rng)
    distances = pose_distances(a, b)
    weights = np.full(60, 1 / 60)
    got = earth_movers_distance(a, b)
    assert got.rotation == pytest.approx(ot.emd2(weights, weights, distances.rotation))
    assert got.translation == pytest.approx(ot.emd2(weights, weights, distances.translation / 0.1))
    assert got.combined == pytest.approx(ot.emd2(weights, weights, distances.combined))
    assert got.combined >= max(got.rotation, got.translation)


def test_earth_movers_distance_of_closed_forms(rng):
    poses = random_poses(40, rng)
    shuffled = poses[rng.permutation(40)]
    assert earth_movers_distance(poses, shuffled @ R_Z_PI) == (0, 0, 0)
    # Grasps 1 m apart, so that no matching but the right one is optimal.
    apart = poses.copy()
    apart[:, :3, 3] = np.arange(40)[:, None] * [1, 0, 0]
    moved = apart @ pose(Rotation.from_euler("y", 0.3), (0, 0.02, 0))
    got = earth_movers_distance(apart, moved[rng.permutation(40)])
    assert got.translation == pytest.approx(0.02 / 0.1)
    assert got.combined == pytest.approx(math.hypot(0.3, 0.2))
    assert got.rotation <= 0.3 + 1e-12


@pytest.mark.parametrize(("n", "m"), [(3, 4), (0, 0), (0, 2)])
def test_earth_movers_distance_needs_equally_many(n, m, rng):
    poses = random_poses(5, rng)
    with pytest.raises(InputError, match=f"at least 1, got {n} and {m}"):
        earth_movers_distance(poses[:n], poses[:m])


# --- Coverage -------------------------------------------------------------------------------------


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


def scattered(rng):
    """Samples around positives, as many within the distances of coverage as beyond."""
    positives = random_poses(40, rng, spread=0.03)
    return near(positives[rng.integers(30, size=60)], rng, 0.006, 0.12), positives


def test_coverage_and_curve_are_the_slow_loops(rng):
    samples, positives = scattered(rng)
    success = rng.uniform(size=60) < 0.6
    first = slow_first(samples, positives, 0.01, math.radians(15))
    assert 5 < (first < 60).sum() < 35  # there is something to tell apart
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


def test_coverage_at_its_two_limits(rng):
    positives = random_poses(300, rng, spread=1.0)  # more than one block, far apart
    for about, angle in itertools.product("xyz", (14.99, 15.01)):
        turn = pose(Rotation.from_euler(about, angle, degrees=True))
        expected = float(angle < 15)
        assert coverage(positives @ turn, positives) == expected
        assert coverage(positives @ turn @ R_Z_PI, positives) == expected
    for distance in (0.00999, 0.01001):
        moved = positives @ pose(translation=(0, distance, 0))
        assert coverage(moved, positives) == float(distance < 0.01)


def test_coverage_of_itself_of_half_and_of_nothing(rng):
    positives = random_poses(20, rng)
    assert coverage(positives, positives) == 1
    assert coverage(positives[:10], positives) == 0.5
    assert coverage(positives[:0], positives) == 0
    with pytest.raises(InputError, match="positives must not be empty"):
        coverage(positives, positives[:0])


def test_spread_grasps_are_those_of_a_slow_reference(rng):
    """Near the identity its distances are those of t/cm and of the turn's vector over 15°."""
    count, small = 30, 1e-3
    steps = small * rng.normal(size=(count, 6))
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, 3] = steps[:, :3]
    poses[:, :3, :3] = Rotation.from_rotvec(steps[:, 3:]).as_matrix()
    turned = poses.copy()
    turned[::2] = turned[::2] @ np.diag([-1.0, -1.0, 1.0, 1.0])
    scaled = steps / np.repeat([0.01, math.radians(15)], 3)
    apart = np.linalg.norm(scaled[:, None] - scaled, axis=-1)
    chosen = [0]
    while len(chosen) < 8:
        chosen.append(int(apart[chosen].min(axis=0).argmax()))
    assert spread(turned, 8).tolist() == chosen
    assert spread(turned[:5], 8).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"translation and rotation must be above 0, got 0.0 and"):
        spread(turned, 8, translation=0.0)


def test_perfect_source_has_area_one_and_a_wrong_one_none(rng):
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
def test_limits_are_distances(options, sentence, rng):
    poses = random_poses(2, rng)
    with pytest.raises(InputError, match=sentence):
        coverage(poses, poses, **options)
    with pytest.raises(InputError, match=sentence):
        thin(poses, **options)


# --- Thinning -------------------------------------------------------------------------------------


def test_thinning_is_the_slow_loop(rng):
    samples, _ = scattered(rng)
    kept = []
    for place, sample in enumerate(samples):
        angles_and_distances = [slow_distances(samples[other], sample) for other in kept]
        if not any(a <= math.radians(15) and d <= 0.01 for a, d in angles_and_distances):
            kept.append(place)
    assert 20 < len(kept) < 55
    assert thin(samples).tolist() == kept


def test_thinning_keeps_the_best_of_each_and_covers_the_rest(rng):
    distinct = random_poses(10, rng, spread=1.0)
    copies = np.concatenate([distinct, near(distinct, rng, 0.0005, 0.01), distinct @ R_Z_PI])
    assert thin(copies).tolist() == list(range(10))
    samples, _ = scattered(rng)
    assert coverage(samples[thin(samples)], samples) == 1
    assert thin(samples[:0]).tolist() == []


def test_thinning_at_zero_drops_only_the_same_grasp(rng):
    poses = random_poses(5, rng)
    again = np.concatenate([poses, poses[2:4], poses[:1] @ R_Z_PI])
    assert thin(again, translation=0.0, rotation=0.0).tolist() == [0, 1, 2, 3, 4]


def test_poses_that_are_not_finite(rng):
    good, bad = random_poses(4, rng), random_poses(4, rng)
    bad[2, 0, 3] = np.nan
    for measure in (coverage, earth_movers_distance, pose_distances):
        for pair in ((good, bad), (bad, good)):
            with pytest.raises(InputError, match="must be finite, but pose 2 is not"):
                measure(*pair)
    with pytest.raises(InputError, match="must be finite, but pose 2 is not"):
        thin(bad)


def test_arrays_that_do_not_go_together(rng):
    poses = random_poses(4, rng)
    # The annotations of shapes are not enforced outside of these tests.
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        for length in (3, 5):
            with pytest.raises(InputError, match="one success for each of the 4 samples"):
                precision_coverage_curve(poses, np.ones(length, bool), poses)
        with pytest.raises(InputError, match=r"samples must have shape \(n, 4, 4\)"):
            coverage(poses[0], poses)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


# --- Probabilities --------------------------------------------------------------------------------


def test_a_reliability_diagram_by_hand():
    probability = np.array([0.05, 0.1, 0.5, 0.6, 0.65, 1.0])
    success = np.array([False, True, False, True, True, True])
    found = reliability(probability, success, bins=4)
    np.testing.assert_allclose(found.predicted, [0.075, (0.5 + 0.6 + 0.65) / 3, 1.0])
    np.testing.assert_allclose(found.happened, [0.5, 2 / 3, 1.0])
    assert found.count.tolist() == [2, 3, 1]
    assert found.error == pytest.approx((2 * 0.425 + 3 * (2 / 3 - 1.75 / 3)) / 6)


def test_probabilities_that_are_true_have_no_calibration_error(rng):
    probability = rng.uniform(size=200_000)
    success = rng.uniform(size=200_000) < probability
    assert reliability(probability, success).error < 0.005
    assert reliability(probability**2, success).error == pytest.approx(1 / 6, abs=0.01)


@pytest.mark.parametrize("bad", [[], [0.5, 1.5], [-0.1], [math.nan]])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(InputError, match="all must be from 0 to 1"):
        reliability(np.array(bad), np.zeros(len(bad), bool))
    with pytest.raises(InputError, match="all must be from 0 to 1"):
        platt_scaling(np.array(bad), np.zeros(len(bad), bool))


def test_platt_scaling_finds_how_logits_were_distorted(rng):
    logit = rng.normal(size=200_000)
    success = rng.uniform(size=len(logit)) < 1 / (1 + np.exp(-logit))
    told = 1 / (1 + np.exp(-(2 * logit + 0.5)))  # so that logit = 0.5·(that of told) - 0.25
    np.testing.assert_allclose(platt_scaling(told, success), [0.5, -0.25], atol=0.02)


def test_platt_scaling_of_one_probability_is_the_share_that_held():
    success = np.arange(10) < 7
    scale, shift = platt_scaling(np.full(10, 0.5), success)
    share = (7 * 8 / 9 + 3 * 1 / 5) / 10  # of the targets that Platt gives
    assert shift == pytest.approx(math.log(share / (1 - share)), abs=1e-4)
    assert scale == 1.0  # which nothing here could tell

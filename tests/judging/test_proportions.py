"""Success rates and intervals against published figures, closed forms, SciPy and slow loops."""

from __future__ import annotations

import numpy as np
import pytest

from grasp.judging.proportions import (
    cluster_bootstrap,
    fits,
    success_at_top,
    success_rate,
    wilson_interval,
)
from pcdiff.errors import InputError


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_matches_newcombes_table(successes, trials, low, high):
    got = wilson_interval(successes, trials)
    assert got == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (3, 7), (7, 7), (500, 1000)])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_wilson_interval_matches_scipy(successes, trials, confidence):
    from scipy.stats import binomtest

    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    got = wilson_interval(successes, trials, confidence)
    assert got == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_without_trials_the_interval_is_everything():
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((3, 2), "successes must be from 0 to 2, the number of trials, got 3"),
        ((-1, 2), "got -1"),
        ((1, 2, 1.0), "confidence level must be between 0 and 1, got 1.0"),
    ],
)
def test_wilson_interval_refuses_invalid_proportions(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        wilson_interval(*arguments)


def test_success_rate_and_success_at_top():
    success = np.array([True, True, False, True, False, False, False, False])
    assert success_rate(success).value == 3 / 8
    assert success_rate(success)[1:] == wilson_interval(3, 8)
    assert success_at_top(success, 4) == 3 / 4
    assert success_at_top(success, 1) == 1
    assert success_at_top(success) == 3 / 8  # fewer than 20 grasps, so all of them count
    for figure in (success_rate, success_at_top):
        with pytest.raises(InputError, match="must not be empty"):
            figure(np.zeros(0, bool))
    with pytest.raises(InputError, match="k must be at least 1"):
        success_at_top(success, 0)


@pytest.mark.parametrize(
    ("candidates", "needed"), [(1, 1), (20, 1), (100, 1), (101, 2), (700, 7), (1999, 20)]
)
def test_an_object_fits_if_a_hundredth_of_its_candidates_succeed(candidates, needed):
    success = np.zeros(candidates, bool)
    success[: needed - 1] = True
    assert not fits(success)
    success[needed - 1] = True
    assert fits(success)


def test_an_object_fits_with_20_successes_among_2000():
    success = np.zeros(3000, bool)
    success[1981:] = True
    assert not fits(success)  # 19 among the first 2000
    success[1980] = True
    assert fits(success)
    assert fits(np.ones(20, bool))
    assert not fits(np.zeros(0, bool))


def test_bootstrap_depends_on_its_generator_alone(rng):
    values = [rng.uniform(size=20) < p for p in (0.1, 0.4, 0.9)]
    first, again, other = (
        cluster_bootstrap(values, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.value == other.value == pytest.approx(np.concatenate(values).mean())


def test_bootstrap_of_two_objects_has_the_exact_distribution():
    # Two draws from one object with the value 0 and one with three values 1 give the means 0, 3/4
    # and 1 with probability 1/4, 1/2 and 1/4.
    values = [np.zeros(1), np.ones(3)]
    rng = np.random.default_rng(0)
    assert cluster_bootstrap(values, rng, confidence=0.4) == (0.75, 0.75, 0.75)
    assert cluster_bootstrap(values, rng, confidence=0.6) == (0.75, 0, 1)


def test_bootstrap_matches_a_slow_loop(rng, monkeypatch):
    values = [rng.uniform(size=5) for _ in range(7)]
    whole = cluster_bootstrap(values, np.random.default_rng(0), resamples=999)
    slow = np.random.default_rng(0)
    drawn = [np.concatenate([values[i] for i in slow.integers(7, size=7)]) for _ in range(999)]
    means = [each.mean() for each in drawn]
    assert whole[1:] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=1e-12)


def test_bootstrap_interval_has_its_level_if_only_objects_differ():
    # Each of 40 objects succeeds with all of its 10 grasps with probability 0.3, else with none, so
    # the 400 grasps carry the information of 40. The interval over objects contains the true value
    # as often as its level promises. Wilson's interval assumes independent grasps and does not.
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
        ([np.ones(3)] * 2, {"resamples": 0}, "number of resamples must be at least 1"),
        ([np.ones(3)] * 2, {"confidence": 0.0}, "confidence level must be between"),
    ],
)
def test_bootstrap_refuses_invalid_values(values, options, sentence, rng):
    with pytest.raises(InputError, match=sentence):
        cluster_bootstrap(values, rng, **options)

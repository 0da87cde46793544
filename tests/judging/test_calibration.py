"""Reliability diagrams and Platt scaling against figures computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grasp.judging.calibration import platt_scaling, reliability
from pcdiff.errors import InputError


def test_a_reliability_diagram_by_hand():
    probability = np.array([0.05, 0.1, 0.5, 0.6, 0.65, 1.0])
    success = np.array([False, True, False, True, True, True])
    found = reliability(probability, success, bins=4)
    np.testing.assert_allclose(found.predicted, [0.075, (0.5 + 0.6 + 0.65) / 3, 1.0])
    np.testing.assert_allclose(found.happened, [0.5, 2 / 3, 1.0])
    assert found.count.tolist() == [2, 3, 1]
    assert found.error == pytest.approx((2 * 0.425 + 3 * (2 / 3 - 1.75 / 3)) / 6)


def test_true_probabilities_have_no_calibration_error(rng):
    probability = rng.uniform(size=200_000)
    success = rng.uniform(size=200_000) < probability
    assert reliability(probability, success).error < 0.005
    assert reliability(probability**2, success).error == pytest.approx(1 / 6, abs=0.01)


@pytest.mark.parametrize("bad", [[], [0.5, 1.5], [-0.1], [math.nan]])
def test_invalid_probabilities_are_refused(bad):
    with pytest.raises(InputError, match="all probabilities must be from 0 to 1"):
        reliability(np.array(bad), np.zeros(len(bad), bool))
    with pytest.raises(InputError, match="all probabilities must be from 0 to 1"):
        platt_scaling(np.array(bad), np.zeros(len(bad), bool))


def test_platt_scaling_recovers_the_distortion_of_logits(rng):
    logit = rng.normal(size=200_000)
    success = rng.uniform(size=len(logit)) < 1 / (1 + np.exp(-logit))
    # The distorted logit is 2·logit + 0.5, so the true one is 0.5 times the distorted one - 0.25.
    distorted = 1 / (1 + np.exp(-(2 * logit + 0.5)))
    np.testing.assert_allclose(platt_scaling(distorted, success), [0.5, -0.25], atol=0.02)


def test_platt_scaling_of_equal_probabilities_gives_the_success_rate():
    success = np.arange(10) < 7
    scale, shift = platt_scaling(np.full(10, 0.5), success)
    share = (7 * 8 / 9 + 3 * 1 / 5) / 10  # the mean of Platt's targets
    assert shift == pytest.approx(math.log(share / (1 - share)), abs=1e-4)
    assert scale == 1.0  # equal logits do not determine the scale

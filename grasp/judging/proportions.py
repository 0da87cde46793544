"""Compute success rates and their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from pcdiff.errors import InputError

FITS_CANDIDATES = 2000
"""Number of antipodal candidates that decide whether an object fits a gripper."""

FITS_SHARE = 0.01
"""Share of successful antipodal candidates that an object needs to fit a gripper."""


class Estimate(NamedTuple):
    """An estimate of a number, with a confidence interval.

    Attributes:
        value: Estimated value.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the score interval of a proportion (Wilson 1927; method 3 of Newcombe 1998).

    Let n = trials, p = successes/n, and let z be the (1 + confidence)/2 quantile of the standard
    Gaussian distribution. The ends of the interval are
    (p + z²/2n ± z·sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n). The interval stays within [0, 1] and
    reaches its confidence level even for few trials and for proportions near 0 or 1. The trials
    must be independent; use `cluster_bootstrap` for the grasps of several objects.

    Args:
        successes: Number of successes, 0 to `trials`.
        trials: Number of trials. For 0 trials, the interval is [0, 1].
        confidence: Confidence level, between 0 and 1.

    Returns:
        The lower and the upper end of the interval.

    Raises:
        InputError: If `successes` is not from 0 to `trials`, or `confidence` is not between 0 and
            1.
    """
    _check_confidence(confidence)
    if not 0 <= successes <= trials:
        raise InputError(
            f"the number of successes must be from 0 to {trials}, the number of trials, "
            f"got {successes}"
        )
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p, correction = successes / trials, z**2 / trials
    middle = p + correction / 2
    half = z * math.sqrt(p * (1 - p) / trials + correction / (4 * trials))
    low = (middle - half) / (1 + correction) if successes > 0 else 0.0
    high = (middle + half) / (1 + correction) if successes < trials else 1.0
    return low, high


def success_rate(success: Bool[np.ndarray, " grasps"], confidence: float = 0.95) -> Estimate:
    """Compute the share of successful grasps, with Wilson's interval.

    Args:
        success: True for each successful grasp.
        confidence: Confidence level, between 0 and 1.

    Raises:
        InputError: If there are no grasps, or `confidence` is not between 0 and 1.
    """
    check_not_empty("success", success)
    low, high = wilson_interval(int(success.sum()), len(success), confidence)
    return Estimate(float(success.mean()), low, high)


def success_at_top(success: Bool[np.ndarray, " grasps"], k: int = 20) -> float:
    """Compute the share of successful grasps among the k best ranked grasps.

    Args:
        success: True for each successful grasp, best ranked first. Grasps in collision are included
            as failures.
        k: Number of best ranked grasps that count, at least 1. If there are fewer grasps, all
            grasps count.

    Raises:
        InputError: If there are no grasps, or `k` is below 1.
    """
    check_not_empty("success", success)
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    return float(success[:k].mean())


def cluster_bootstrap(
    values: Sequence[np.ndarray],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Estimate:
    """Compute the mean of all values, with a confidence interval from resampled objects.

    Grasps of one object tend to succeed or fail together. So each resample draws objects instead of
    grasps (the cluster bootstrap: Davison and Hinkley 1997, section 3.8, and Field and Welsh 2007).
    For N objects, a resample draws an object N times, with replacement, and includes all values of
    the drawn objects. The mean of a resample is the sum of its values divided by their number. The
    interval lies between two quantiles of the means of all resamples. To give all objects the same
    weight, pass one value per object.

    Args:
        values: For each object, an array of at least one value, boolean or number.
        rng: Random generator that draws the objects.
        confidence: Confidence level, between 0 and 1.
        resamples: Number of resamples, at least 1.

    Raises:
        InputError: If there are fewer than 2 objects (use `wilson_interval` for the grasps of one
            object), an object has no values, a value is not finite, `confidence` is not between 0
            and 1, or `resamples` is below 1.
    """
    _check_confidence(confidence)
    if len(values) < 2:
        raise InputError(f"an interval over objects needs at least 2 objects, got {len(values)}")
    if resamples < 1:
        raise InputError(f"the number of resamples must be at least 1, got {resamples}")
    sums, counts = np.empty(len(values)), np.empty(len(values))
    for index, of_object in enumerate(values):
        array = np.asarray(of_object, np.float64)
        check_not_empty(f"the values of object {index}", array)
        if not np.isfinite(array).all():
            raise InputError(f"the values of object {index} must be finite, got NaN or infinity")
        sums[index], counts[index] = array.sum(), array.size
    means = np.empty(resamples)
    block = max(1, 2**22 // len(values))  # limits the memory for many objects
    for start in range(0, resamples, block):
        size = (min(block, resamples - start), len(values))
        drawn = rng.integers(len(values), size=size)
        means[start : start + block] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high))


def fits(success: Bool[np.ndarray, " candidates"]) -> bool:
    """Decide from physics alone whether an object fits a gripper.

    Args:
        success: True for each antipodal candidate of the object that succeeded in physics. Only
            the first `FITS_CANDIDATES` candidates count. An object without candidates does not fit.
    """
    tried = success[:FITS_CANDIDATES]
    return bool(len(tried)) and int(tried.sum()) >= FITS_SHARE * len(tried)


def check_not_empty(name: str, values: np.ndarray) -> None:
    """Raise `InputError` if an array is empty.

    Args:
        name: Name of the array in the error message.
        values: Array to check.
    """
    if not len(values):
        raise InputError(f"{name} must not be empty")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"the confidence level must be between 0 and 1, got {confidence}")

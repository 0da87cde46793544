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

FITS_SUCCESSES = 20
"""Number of these candidates that must hold in physics for the object to fit the gripper."""


class Estimate(NamedTuple):
    """A figure with its confidence interval.

    Attributes:
        value: Value of the figure.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the score interval of a proportion (Wilson 1927; method 3 of Newcombe 1998).

    With p = successes/trials, n = trials and z the normal quantile of (1 + confidence)/2, its ends
    are (p + z²/2n ± z·sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n). The interval stays within [0, 1] and
    keeps its level even for few trials and for proportions near 0 or 1. It assumes independent
    trials; use `cluster_bootstrap` for the grasps of several objects.

    Args:
        successes: Number of successes, 0 to `trials`.
        trials: Number of trials; without any, the interval is [0, 1].
        confidence: Confidence level, between 0 and 1.

    Returns:
        The lower and the upper end.

    Raises:
        InputError: If an argument is out of range.
    """
    _check_confidence(confidence)
    if not 0 <= successes <= trials:
        raise InputError(f"successes must be 0 to {trials}, the number of trials, got {successes}")
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
    """Compute the share of grasps that hold, with Wilson's interval.

    Args:
        success: True for each grasp that holds.
        confidence: Confidence level, between 0 and 1.

    Raises:
        InputError: If there are no grasps, or `confidence` is out of range.
    """
    check_not_empty("success", success)
    low, high = wilson_interval(int(success.sum()), len(success), confidence)
    return Estimate(float(success.mean()), low, high)


def success_at_top(success: Bool[np.ndarray, " grasps"], k: int = 20) -> float:
    """Compute the share of the k best ranked grasps that hold.

    Args:
        success: True for each grasp that holds, best ranked first, including grasps in collision.
        k: Number of grasps that count, at least 1; all of them if there are fewer.

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
    """Compute the mean over all values, with an interval from resampling the objects.

    Grasps of one object tend to succeed or fail together. So objects, not grasps, are drawn with
    replacement. As many objects are drawn as there are, each with all of its values (the cluster
    bootstrap: Davison and Hinkley 1997, section 3.8, and Field and Welsh 2007). The mean is Σ
    values / Σ counts over the drawn objects, and the percentiles of these means give the interval.
    To give all objects the same weight, pass one value per object.

    Args:
        values: Array of values for each object, booleans or numbers, with at least one value each.
        rng: Source of randomness for drawing the objects.
        confidence: Confidence level, between 0 and 1.
        resamples: Number of times the objects are drawn.

    Raises:
        InputError: If there are fewer than 2 objects, so that the spread between objects is unknown
            (use `wilson_interval` for the grasps of one object); an object has no values; a value
            is not finite; or another argument is out of range.
    """
    _check_confidence(confidence)
    if len(values) < 2:
        raise InputError(f"an interval over objects needs at least 2 objects, got {len(values)}")
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, got {resamples}")
    sums, counts = np.empty(len(values)), np.empty(len(values))
    for index, of_object in enumerate(values):
        array = np.asarray(of_object, np.float64)
        check_not_empty(f"the values of object {index}", array)
        if not np.isfinite(array).all():
            raise InputError(f"the values of object {index} must be finite")
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
        success: True for each antipodal candidate of the object that held in physics. Only the
            first `FITS_CANDIDATES` count. Fewer candidates are enough if `FITS_SUCCESSES` of them
            hold.
    """
    return int(success[:FITS_CANDIDATES].sum()) >= FITS_SUCCESSES


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
        raise InputError(f"confidence must be between 0 and 1, got {confidence}")

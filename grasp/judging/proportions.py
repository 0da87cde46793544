"""Success rates and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from pcdiff.errors import InputError

FITS_CANDIDATES = 2000
"""An object fits a gripper if of so many antipodal candidates …"""


FITS_SUCCESSES = 20
"""… at least so many hold in physics."""


class Estimate(NamedTuple):
    """A figure and the interval that it is known to."""

    value: float
    low: float
    high: float


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927; method 3 of Newcombe 1998).

    With p = successes/trials, n = trials and z the normal quantile of (1 + confidence)/2, its ends
    are (p + z²/2n ± z·sqrt(p(1 − p)/n + z²/4n²)) / (1 + z²/n). It stays in [0, 1] and keeps its
    level for few trials and for proportions near 0 and 1. It takes the trials as independent: for
    grasps of several objects use `cluster_bootstrap`.

    Args:
        successes: 0 to `trials`.
        trials: 0 or more; of no trials nothing is known, and the interval is [0, 1].
        confidence: the level, between 0 and 1.

    Raises:
        InputError: an argument is out of its range.
    """
    _check_confidence(confidence)
    if not 0 <= successes <= trials:
        raise InputError(f"successes must be 0 to {trials}, the trials, got {successes}")
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
    """The share of grasps that hold, with Wilson's interval.

    Raises:
        InputError: there are no grasps.
    """
    check_some("success", success)
    low, high = wilson_interval(int(success.sum()), len(success), confidence)
    return Estimate(float(success.mean()), low, high)


def success_at_top(success: Bool[np.ndarray, " grasps"], k: int = 20) -> float:
    """The share that holds of the k best grasps, or of all where there are fewer.

    Args:
        success: whether each grasp holds, best ranked first, those in collision included.
        k: at least 1.

    Raises:
        InputError: there are no grasps, or k is below 1.
    """
    check_some("success", success)
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
    """The mean over all values and its percentile interval when objects are drawn anew.

    Grasps of one object succeed and fail together, so not grasps but objects are drawn with
    replacement, as many as there are, each with all of its values (the cluster bootstrap: Davison
    and Hinkley 1997, section 3.8, and Field and Welsh 2007). The figure is Σ values / Σ counts over
    the objects drawn; for a mean in which objects weigh alike, pass one value an object.

    Args:
        values: for each object its values, booleans or numbers, at least one.
        rng: draws the objects.
        confidence: the level, between 0 and 1.
        resamples: how often the objects are drawn.

    Raises:
        InputError: there are fewer than 2 objects (the spread between objects is then unknown; for
            one object `wilson_interval` tells that of its grasps), an object has no values, a value
            is not finite, or another argument is out of its range.
    """
    _check_confidence(confidence)
    if len(values) < 2:
        raise InputError(f"an interval over objects needs at least 2 of them, got {len(values)}")
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, got {resamples}")
    sums, counts = np.empty(len(values)), np.empty(len(values))
    for index, of_object in enumerate(values):
        array = np.asarray(of_object, np.float64)
        check_some(f"the values of object {index}", array)
        if not np.isfinite(array).all():
            raise InputError(f"the values of object {index} must be finite")
        sums[index], counts[index] = array.sum(), array.size
    means = np.empty(resamples)
    block = max(1, 2**22 // len(values))  # bounds the memory for many objects
    for start in range(0, resamples, block):
        size = (min(block, resamples - start), len(values))
        drawn = rng.integers(len(values), size=size)
        means[start : start + block] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(sums.sum() / counts.sum()), float(low), float(high))


def fits(success: Bool[np.ndarray, " candidates"]) -> bool:
    """Whether an object fits a gripper, whatever any network says.

    Args:
        success: whether each of the object's antipodal candidates held in physics; only the first
            `FITS_CANDIDATES` count. Fewer candidates are enough if they hold the successes.
    """
    return int(success[:FITS_CANDIDATES].sum()) >= FITS_SUCCESSES


def check_some(name: str, values: np.ndarray) -> None:
    """Refuse an empty array; `name` is what the message calls it."""
    if not len(values):
        raise InputError(f"{name} must not be empty")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1, got {confidence}")

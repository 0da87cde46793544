"""Compare a set of grasps with a set of successful grasps: coverage, precision, and distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.judging.proportions import check_not_empty
from grasp.poses.distances import (
    LENGTH,
    ROTATION,
    TRANSLATION,
    check_finite_poses,
    check_thresholds,
    paired_angles,
    pose_distances,
)
from pcdiff.errors import InputError


class EarthMoversDistance(NamedTuple):
    """Mean distances in radians between two matched sets of grasp poses.

    Each of the three values has its own one-to-one matching: the matching with the smallest mean.
    `combined` is at least as large as `rotation` and `translation`. The length ℓ converts
    translations in metres to radians.

    Attributes:
        rotation: Smallest mean of the angle between matched poses.
        translation: Smallest mean of translation/ℓ.
        combined: Smallest mean of sqrt(rotation² + (translation/ℓ)²).
    """

    rotation: float
    translation: float
    combined: float


def earth_movers_distance(
    a: Float[np.ndarray, "n 4 4"], b: Float[np.ndarray, "m 4 4"], length: float = LENGTH
) -> EarthMoversDistance:
    """Compute the earth mover's distance between two sets of equal size by exact assignment.

    The distance is the minimum over permutations π of mean_i d(a_i, b_π(i)). It is also called the
    1-Wasserstein distance. It is computed for three pose distances d: the angle, the translation
    divided by ℓ, and the combination of both.

    Args:
        a: Poses of the first set.
        b: Poses of the second set; its size must equal the size of the first set.
        length: Length ℓ in metres per radian.

    Raises:
        InputError: If the sets are empty or differ in size, `length` is not positive and finite, or
            a pose is not finite.
    """
    from scipy.optimize import linear_sum_assignment

    if len(a) != len(b) or not len(a):
        raise InputError(
            "the earth mover's distance needs two sets with the same number of grasps, at least 1, "
            f"got {len(a)} and {len(b)}"
        )
    distances = pose_distances(a, b, length)

    def least_mean(cost: np.ndarray) -> float:
        return float(cost[linear_sum_assignment(cost)].mean())

    return EarthMoversDistance(
        least_mean(distances.rotation),
        least_mean(distances.translation / length),
        least_mean(distances.combined),
    )


def first_cover(
    samples: Float[np.ndarray, "samples 4 4"],
    positives: Float[np.ndarray, "positives 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> Int[np.ndarray, " positives"]:
    """Find the first sample that covers each positive.

    A sample covers a positive if the distance between the two poses is within both thresholds.

    Args:
        samples: Poses of the sampled grasps, best ranked first.
        positives: Poses to cover.
        translation: Largest translation in metres, inclusive.
        rotation: Largest angle in radians, inclusive.

    Returns:
        Index of the first sample for each positive, or `len(samples)` if no sample covers the
        positive.

    Raises:
        InputError: If a threshold is negative or not finite, or a pose is not finite.
    """
    from scipy.spatial import cKDTree

    check_thresholds(translation, rotation)
    check_finite_poses("samples", samples)
    check_finite_poses("positives", positives)
    first = np.full(len(positives), len(samples))
    if not len(samples):
        return first
    tree = cKDTree(samples[:, :3, 3])
    block = 256  # positives per step; limits the memory if all poses are close to each other
    for start in range(0, len(positives), block):
        near = tree.query_ball_point(positives[start : start + block, :3, 3], translation)
        which = start + np.repeat(np.arange(len(near)), [len(places) for places in near])
        places = np.concatenate([np.asarray(each, np.int64) for each in near])
        same = paired_angles(samples[places], positives[which]) <= rotation
        np.minimum.at(first, which[same], places[same])
    return first


def coverage(
    samples: Float[np.ndarray, "samples 4 4"],
    positives: Float[np.ndarray, "positives 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> float:
    """Compute the share of positives with at least one sample within both thresholds.

    Coverage grows with the number of samples, so always report both numbers together. The reports
    of this package use 1000 samples by default.

    Args:
        samples: Poses of the sampled grasps, successful and failed. The array may be empty.
        positives: Poses of grasps that succeed in physics.
        translation: Largest translation in metres, inclusive.
        rotation: Largest angle in radians, inclusive.

    Raises:
        InputError: If there are no positives, a threshold is negative or not finite, or a pose is
            not finite.
    """
    check_not_empty("positives", positives)
    first = first_cover(samples, positives, translation, rotation)
    return float((first < len(samples)).mean())


@dataclass(frozen=True, eq=False)
class PrecisionCoverage:
    """Precision and coverage of the k best ranked grasps, for k = 1, 2, …, n.

    Attributes:
        precision: Share of successful grasps among the best k.
        coverage: Share of the positives that the best k grasps cover. It never decreases with k.
    """

    precision: Float[np.ndarray, " cuts"]
    coverage: Float[np.ndarray, " cuts"]

    @property
    def area(self) -> float:
        """Area under the curve, Σ_k precision_k · (coverage_k − coverage_{k−1}); at most 1."""
        return float((self.precision * np.diff(self.coverage, prepend=0.0)).sum())


def precision_coverage_curve(
    samples: Float[np.ndarray, "samples 4 4"],
    success: Bool[np.ndarray, " samples"],
    positives: Float[np.ndarray, "positives 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> PrecisionCoverage:
    """Compute precision against coverage along a ranking, like the curve of 6-DOF GraspNet.

    Mousavian, Eppner and Fox (2019) draw the curve by lowering a threshold on the score. Here, the
    curve has one point for each number of best ranked grasps. A failed sample also covers the
    positives near it; it lowers only the precision.

    Args:
        samples: Poses of the sampled grasps, best ranked first.
        success: True for each sample that succeeds in physics.
        positives: Poses of grasps that succeed in physics.
        translation: Largest translation in metres, inclusive.
        rotation: Largest angle in radians, inclusive.

    Raises:
        InputError: If there are no samples or no positives, `success` and `samples` differ in
            length, a threshold is negative or not finite, or a pose is not finite.
    """
    check_not_empty("samples", samples)
    check_not_empty("positives", positives)
    if success.shape != (len(samples),):
        raise InputError(
            f"success must contain one value for each of the {len(samples)} samples, "
            f"got shape {success.shape}"
        )
    first = first_cover(samples, positives, translation, rotation)
    covered = np.bincount(first, minlength=len(samples) + 1)[: len(samples)].cumsum()
    held = success.cumsum()
    return PrecisionCoverage(
        precision=held / np.arange(1, len(samples) + 1), coverage=covered / len(positives)
    )

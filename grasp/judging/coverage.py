"""Measure how well one set of grasps covers another: coverage, precision, and distance."""

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
    """Mean distances in radians under optimal one-to-one matchings of two sets.

    Each of the three distances uses the matching that minimises it, so the matchings may differ.
    `combined` is at least as large as the other two.

    Attributes:
        rotation: Smallest mean angle.
        translation: Smallest mean of translation/ℓ.
        combined: Smallest mean of sqrt(rotation² + (translation/ℓ)²).
    """

    rotation: float
    translation: float
    combined: float


def earth_movers_distance(
    a: Float[np.ndarray, "n 4 4"], b: Float[np.ndarray, "m 4 4"], length: float = LENGTH
) -> EarthMoversDistance:
    """Compute the earth mover's distance of two equally large sets by exact assignment.

    It is the minimum over permutations π of mean_i d(a_i, b_π(i)) for three distances d: the angle,
    the translation in units of ℓ, and both combined. This is the 1-Wasserstein distance of the
    sets.

    Args:
        a: Poses of the first set.
        b: Poses of the second set, as many as in the first.
        length: ℓ in metres per radian.

    Raises:
        InputError: If the sets are empty or differ in size, `length` is not positive, or a pose is
            not finite.
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
    """Find for each positive the first sample within both thresholds of it.

    Args:
        samples: Poses, best ranked first.
        positives: Poses to cover.
        translation: Threshold in metres, inclusive.
        rotation: Threshold in radians, inclusive.

    Returns:
        Index of the sample for each positive; `len(samples)` if no sample covers it.

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
    block = 256  # positives at a time; limits the memory if all poses are close to each other
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

    Coverage grows with the number of samples, so always report that number with it. The reports of
    this package use 1000 samples by default.

    Args:
        samples: Poses of successful and failed grasps; may be empty.
        positives: Poses that held in physics.
        translation: Threshold in metres, inclusive.
        rotation: Threshold in radians, inclusive.

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
        precision: Share of the best k that hold.
        coverage: Share of the positives that the best k cover; it never decreases.
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
    """Compute precision against coverage along a ranking (the curve of 6-DOF GraspNet).

    Mousavian, Eppner and Fox (2019) trace the curve by lowering a threshold on the score; here it
    has one point for each number of best ranked grasps. A sample covers the positives near it even
    if it does not hold itself; failures lower the precision instead.

    Args:
        samples: Poses, best ranked first.
        success: True for each sample that holds in physics.
        positives: Poses that held in physics.
        translation: Threshold in metres, inclusive.
        rotation: Threshold in radians, inclusive.

    Raises:
        InputError: If there are no samples or no positives, `success` has another length, a
            threshold is negative or not finite, or a pose is not finite.
    """
    check_not_empty("samples", samples)
    check_not_empty("positives", positives)
    if success.shape != (len(samples),):
        raise InputError(
            f"there must be one success for each of the {len(samples)} samples, "
            f"got shape {success.shape}"
        )
    first = first_cover(samples, positives, translation, rotation)
    covered = np.bincount(first, minlength=len(samples) + 1)[: len(samples)].cumsum()
    held = success.cumsum()
    return PrecisionCoverage(
        precision=held / np.arange(1, len(samples) + 1), coverage=covered / len(positives)
    )

"""How well a set of grasps covers another: coverage, its curve against precision, distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.judging.proportions import check_some
from grasp.poses.distances import (
    LENGTH,
    ROTATION,
    TRANSLATION,
    check_finite,
    check_thresholds,
    pair_angles,
    pose_distances,
)
from pcdiff.errors import InputError


class EarthMoversDistance(NamedTuple):
    """Mean distances of pairs under optimal one-to-one matchings; radians.

    Each has the matching that is optimal for itself, so `combined` is no less than either of the
    others and the three need not be of the same pairs.

    Attributes:
        rotation: of the angles, under the matching with the least sum of angles.
        translation: of translation/ℓ, under the matching with the least sum of translations.
        combined: of sqrt(rotation² + (translation/ℓ)²), under the matching with the least sum of
            these.
    """

    rotation: float
    translation: float
    combined: float


def earth_movers_distance(
    a: Float[np.ndarray, "n 4 4"], b: Float[np.ndarray, "m 4 4"], length: float = LENGTH
) -> EarthMoversDistance:
    """The earth mover's distance of two equally large sets of grasps, by exact assignment.

    min over permutations π of mean_i d(a_i, b_π(i)) for three d: the angle, the translation in
    units of ℓ, and both together. It is the 1-Wasserstein distance of the two sets.

    Args:
        a: poses.
        b: as many poses.
        length: ℓ, metres per radian.

    Raises:
        InputError: the sets are empty or differ in size, `length` is not positive, or a pose is
            not finite.
    """
    from scipy.optimize import linear_sum_assignment

    if len(a) != len(b) or not len(a):
        raise InputError(
            "the earth mover's distance needs two sets of equally many grasps, "
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
    """For each positive, the place of the first sample within both distances of it.

    Args:
        samples: poses, best ranked first.
        positives: poses.
        translation: metres, the distance itself included.
        rotation: radians, likewise.

    Returns:
        Places counted from 0; `len(samples)` for a positive that no sample covers.

    Raises:
        InputError: a distance is negative or not finite, or a pose is not finite.
    """
    from scipy.spatial import cKDTree

    check_thresholds(translation, rotation)
    check_finite("samples", samples)
    check_finite("positives", positives)
    first = np.full(len(positives), len(samples))
    if not len(samples):
        return first
    tree = cKDTree(samples[:, :3, 3])
    block = 256  # positives at a time: bounds the memory where everything is near everything
    for start in range(0, len(positives), block):
        near = tree.query_ball_point(positives[start : start + block, :3, 3], translation)
        which = start + np.repeat(np.arange(len(near)), [len(places) for places in near])
        places = np.concatenate([np.asarray(each, np.int64) for each in near])
        same = pair_angles(samples[places], positives[which]) <= rotation
        np.minimum.at(first, which[same], places[same])
    return first


def coverage(
    samples: Float[np.ndarray, "samples 4 4"],
    positives: Float[np.ndarray, "positives 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> float:
    """The share of positives with at least one sample within both distances.

    It grows with the number of samples, so it means something only beside that number: the figure
    of this package is at the first 1000.

    Args:
        samples: poses, successful or not; none cover nothing.
        positives: poses that held in physics.
        translation: metres.
        rotation: radians.

    Raises:
        InputError: there are no positives, a distance is negative or not finite, or a pose is not
            finite.
    """
    check_some("positives", positives)
    first = first_cover(samples, positives, translation, rotation)
    return float((first < len(samples)).mean())


@dataclass(frozen=True, eq=False)
class PrecisionCoverage:
    """A ranked source of grasps at every cut of its ranking: after the best 1, 2, … n.

    Attributes:
        precision: the share of the best k that hold.
        coverage: the share of positives that the best k cover; never falls.
    """

    precision: Float[np.ndarray, " cuts"]
    coverage: Float[np.ndarray, " cuts"]

    @property
    def area(self) -> float:
        """Σ_k precision_k · (coverage_k − coverage_{k−1}): 1 for a perfect source."""
        return float((self.precision * np.diff(self.coverage, prepend=0.0)).sum())


def precision_coverage_curve(
    samples: Float[np.ndarray, "samples 4 4"],
    success: Bool[np.ndarray, " samples"],
    positives: Float[np.ndarray, "positives 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> PrecisionCoverage:
    """Precision against coverage along a ranking (the success–coverage curve of 6-DOF GraspNet).

    Mousavian, Eppner and Fox 2019 lower a threshold on the score; here every cut of the ranking is
    a point. A sample covers the positives near it whether or not it holds itself: whether it does
    is what precision tells.

    Args:
        samples: poses, best ranked first.
        success: whether each holds in physics.
        positives: poses that held in physics.
        translation: metres.
        rotation: radians.

    Raises:
        InputError: there are no samples or no positives, `success` has another length, a distance
            is negative or not finite, or a pose is not finite.
    """
    check_some("samples", samples)
    check_some("positives", positives)
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

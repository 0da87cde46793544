"""How good a set of grasps is: success, coverage, distance, and how sure that is.

Poses are `T_object_grasp`, metres, arrays (n, 4, 4). Turning a parallel jaw by π about its approach
gives the same grasp, so the rotation between two grasps is everywhere the smaller of the angles
between H and H', and between H and H'·R_z(π); that turn moves no origin, so it changes no
translation. Angles are radians in [0, π].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.poses.frames import HALF_TURN
from pcdiff.errors import InputError

LENGTH = 0.1
"""ℓ, metres per radian: the length that makes translations and rotations comparable."""

TRANSLATION = 0.01
"""Metres: two grasps nearer than this and than `ROTATION` count as the same in coverage."""

ROTATION = math.radians(15)
"""Radians."""

FITS_CANDIDATES = 2000
"""An object fits a gripper if of so many antipodal candidates …"""

FITS_SUCCESSES = 20
"""… at least so many hold in physics."""


# --- Proportions and their intervals --------------------------------------------------------------


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
    _check_some("success", success)
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
    _check_some("success", success)
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
        _check_some(f"the values of object {index}", array)
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


# --- Distances between poses ----------------------------------------------------------------------


class PoseDistances(NamedTuple):
    """Distances between each pose of one set and each of another, arrays (n, m).

    Attributes:
        rotation: the angle between them, radians, the smaller for the two turns of the jaw.
        translation: the distance between their origins, metres.
        combined: sqrt(rotation² + (translation/ℓ)²), radians.
    """

    rotation: np.ndarray
    translation: np.ndarray
    combined: np.ndarray


def pose_distances(
    a: Float[np.ndarray, "n 4 4"], b: Float[np.ndarray, "m 4 4"], length: float = LENGTH
) -> PoseDistances:
    """How far each pose of a set is from each pose of another.

    Args:
        a: poses.
        b: poses.
        length: ℓ, metres per radian.

    Raises:
        InputError: `length` is not positive, or a pose is not finite.
    """
    from scipy.spatial.distance import cdist

    _check_length(length)
    _check_finite("poses", a)
    _check_finite("poses", b)
    # ‖R − R'‖_F = √8·sin(θ/2) for the angle θ of RᵀR'. Distances, not products: exact near 0.
    flat_a = a[:, :3, :3].reshape(len(a), 9)
    straight = cdist(flat_a, b[:, :3, :3].reshape(len(b), 9))
    turned = cdist(flat_a, (b * HALF_TURN)[:, :3, :3].reshape(len(b), 9))
    rotation = _angle(np.minimum(straight, turned))
    translation = cdist(a[:, :3, 3], b[:, :3, 3])
    return PoseDistances(rotation, translation, np.hypot(rotation, translation / length))


def _angle(frobenius: np.ndarray) -> np.ndarray:
    return 2 * np.arcsin(np.minimum(frobenius / math.sqrt(8), 1))


def _pair_angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The angle between a[i] and b[i], the smaller for the two turns of the jaw."""
    rotations = a[:, :3, :3], b[:, :3, :3], (b * HALF_TURN)[:, :3, :3]
    straight, turned = (
        np.linalg.norm(rotations[0] - other, axis=(1, 2)) for other in rotations[1:]
    )
    return _angle(np.minimum(straight, turned))


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


# --- Coverage -------------------------------------------------------------------------------------


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

    _check_thresholds(translation, rotation)
    _check_finite("samples", samples)
    _check_finite("positives", positives)
    first = np.full(len(positives), len(samples))
    if not len(samples):
        return first
    tree = cKDTree(samples[:, :3, 3])
    block = 256  # positives at a time: bounds the memory where everything is near everything
    for start in range(0, len(positives), block):
        near = tree.query_ball_point(positives[start : start + block, :3, 3], translation)
        which = start + np.repeat(np.arange(len(near)), [len(places) for places in near])
        places = np.concatenate([np.asarray(each, np.int64) for each in near])
        same = _pair_angles(samples[places], positives[which]) <= rotation
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
    _check_some("positives", positives)
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
    _check_some("samples", samples)
    _check_some("positives", positives)
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


def thin(
    poses: Float[np.ndarray, "grasps 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> Int[np.ndarray, " kept"]:
    """The places of grasps of which no two are within both distances of each other.

    Greedy along the ranking: a grasp is kept unless one kept before it is that near.

    Args:
        poses: best ranked first.
        translation: metres, the distance itself included.
        rotation: radians, likewise.

    Returns:
        Places in ascending order.

    Raises:
        InputError: a distance is negative or not finite, or a pose is not finite.
    """
    from scipy.spatial import cKDTree

    _check_thresholds(translation, rotation)
    _check_finite("poses", poses)
    if not len(poses):
        return np.empty(0, np.int64)
    tree = cKDTree(poses[:, :3, 3])
    dropped = np.zeros(len(poses), bool)
    kept = []
    for place in range(len(poses)):
        if dropped[place]:
            continue
        kept.append(place)
        near = np.asarray(tree.query_ball_point(poses[place, :3, 3], translation), np.int64)
        near = near[~dropped[near]]
        dropped[near[_pair_angles(poses[near], poses[[place]]) <= rotation]] = True
    return np.array(kept, np.int64)


def spread(
    poses: Float[np.ndarray, "grasps 4 4"],
    count: int,
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> Int[np.ndarray, " chosen"]:
    """The places of so many grasps that are far from each other: farthest point sampling.

    The distance is sqrt((Δt/translation)² + (Δθ/rotation)²) for small Δθ, for the smaller Δθ of the
    two turns of the jaw: it is that between (t, z/√2, x ⊗ x/2, y ⊗ y/2) for the axes of the hand,
    which are the same for both turns.

    Args:
        poses: the first of them is chosen first.
        count: how many; all, if there are not more.
        translation: metres.
        rotation: radians.

    Returns:
        Places in the order in which they were chosen.

    Raises:
        InputError: a distance is not positive or not finite, or a pose is not finite.
    """
    import torch

    from pcdiff.clouds.metrics.chamfer import sample_farthest_points

    _check_thresholds(translation, rotation)
    if not translation or not rotation:
        raise InputError(f"distances must be positive, got {translation} and {rotation}")
    _check_finite("poses", poses)
    if len(poses) <= count:
        return np.arange(len(poses))
    x, y, z = poses[:, :3, :3].transpose(2, 0, 1)
    squares = [(axis[:, :, None] * axis[:, None]).reshape(-1, 9) / 2 for axis in (x, y)]
    turns = np.hstack([z / math.sqrt(2), *squares]) / rotation
    places = np.hstack([poses[:, :3, 3] / translation, turns])
    chosen: Int[np.ndarray, " chosen"]
    chosen = sample_farthest_points(torch.from_numpy(places)[None], K=count)[1][0].numpy()
    return chosen


# --- Probabilities --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted probabilities held against what happened.

    Attributes:
        predicted: mean probability of each bin that is not empty, ascending.
        happened: share of successes in each.
        count: grasps in each.
    """

    predicted: Float[np.ndarray, " bins"]
    happened: Float[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """The expected calibration error: Σ n_b/n |happened_b − predicted_b|."""
        gaps = np.abs(self.happened - self.predicted)
        return float((gaps * self.count).sum() / self.count.sum())


def reliability(
    probability: Float[np.ndarray, " grasps"],
    success: Bool[np.ndarray, " grasps"],
    bins: int = 15,
) -> Reliability:
    """The reliability diagram of probabilities of success (Guo et al. 2017, equations 1 to 3).

    Args:
        probability: predicted, 0 to 1.
        success: what happened.
        bins: of equal width.

    Raises:
        InputError: there are no grasps, or a probability is not one.
    """
    _check_probability("a reliability diagram", probability)
    place = np.minimum((probability * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    some = count > 0
    predicted, happened = (
        np.bincount(place, of, bins)[some] / count[some] for of in (probability, success)
    )
    return Reliability(predicted, happened, count[some])


def platt_scaling(
    probability: Float[np.ndarray, " grasps"], success: Bool[np.ndarray, " grasps"]
) -> tuple[float, float]:
    """The scale and shift of logits by which probabilities are truest (Platt 1999).

    They maximise the likelihood of what happened; as there, a success counts as (s + 1) / (s + 2)
    for s successes, a failure as 1 / (f + 2), so that there is a maximum whatever happened.

    Args:
        probability: predicted, 0 to 1; those nearer than 10⁻⁶ to either count as that near.
        success: what happened.

    Raises:
        InputError: there are no grasps, or a probability is not one.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, logit

    _check_probability("Platt scaling", probability)
    logits = logit(np.clip(probability, 1e-6, 1 - 1e-6))
    held = int(success.sum())
    target = np.where(success, (held + 1) / (held + 2), 1 / (len(success) - held + 2))

    def loss(fitted: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = fitted[0] * logits + fitted[1]
        missed = expit(scaled) - target
        cross_entropy = np.logaddexp(0, scaled) - target * scaled
        return float(cross_entropy.mean()), np.array([(missed * logits).mean(), missed.mean()])

    scale, shift = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return float(scale), float(shift)


# --- Checks ---------------------------------------------------------------------------------------


def _check_some(name: str, values: np.ndarray) -> None:
    if not len(values):
        raise InputError(f"{name} must not be empty")


def _check_probability(what: str, probability: np.ndarray) -> None:
    if not len(probability) or not ((probability >= 0) & (probability <= 1)).all():
        raise InputError(
            f"{what} needs probabilities of 0 to 1, got {len(probability)} numbers"
            + (f" of {probability.min()} to {probability.max()}" if len(probability) else "")
        )


def _check_finite(name: str, poses: np.ndarray) -> None:
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise InputError(f"{name} must be of shape (n, 4, 4), got {poses.shape}")
    finite = np.isfinite(poses).all(axis=(1, 2))
    if not finite.all():
        raise InputError(f"{name} must be finite, but pose {finite.argmin()} is not")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1, got {confidence}")


def _check_length(length: float) -> None:
    if not 0 < length < math.inf:
        raise InputError(f"length must be positive and finite, got {length}")


def _check_thresholds(translation: float, rotation: float) -> None:
    for name, value in (("translation", translation), ("rotation", rotation)):
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be 0 or more and finite, got {value}")

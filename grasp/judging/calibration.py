"""Measure and correct the calibration of predicted probabilities of success."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pcdiff.errors import InputError


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted probabilities compared with observed outcomes.

    Attributes:
        predicted: Mean predicted probability of success in each non-empty bin, in ascending order.
        happened: Observed share of successes in each of these bins.
        count: Number of grasps in each of these bins.
    """

    predicted: Float[np.ndarray, " bins"]
    happened: Float[np.ndarray, " bins"]
    count: Int[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """Expected calibration error, Σ_b n_b/n |happened_b − predicted_b|.

        Bin b contains n_b of the n grasps.
        """
        gaps = np.abs(self.happened - self.predicted)
        return float((gaps * self.count).sum() / self.count.sum())


def reliability(
    probability: Float[np.ndarray, " grasps"],
    success: Bool[np.ndarray, " grasps"] | Float[np.ndarray, " grasps"],
    bins: int = 15,
) -> Reliability:
    """Compute the reliability diagram of probabilities (Guo et al. 2017, equations 1 to 3).

    Args:
        probability: Predicted probabilities of success, 0 to 1.
        success: True for each successful grasp, or the robust success of each grasp, 0 to 1.
        bins: Number of bins of equal width.

    Raises:
        InputError: If there are no grasps, or a probability is outside [0, 1].
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
    """Compute the scale and the shift of logits that best calibrate probabilities (Platt 1999).

    The scale and the shift maximise the likelihood of the outcomes. For s successes and f failures,
    a success counts as the probability (s + 1) / (s + 2), and a failure as 1 / (f + 2), as in
    Platt's method. With these values, a maximum always exists.

    Args:
        probability: Predicted probabilities of success, 0 to 1. The probabilities are clipped to
            [10⁻⁶, 1 − 10⁻⁶].
        success: True for each successful grasp.

    Returns:
        The scale and the shift of the logits.

    Raises:
        InputError: If there are no grasps, or a probability is outside [0, 1].
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


def _check_probability(what: str, probability: np.ndarray) -> None:
    if not len(probability) or not ((probability >= 0) & (probability <= 1)).all():
        raise InputError(
            f"{what} needs at least one probability, and all probabilities must be from 0 to 1, "
            f"got {len(probability)} probabilities"
            + (f" from {probability.min()} to {probability.max()}" if len(probability) else "")
        )

"""How far probabilities of success are from what happens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pcdiff.errors import InputError


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


def _check_probability(what: str, probability: np.ndarray) -> None:
    if not len(probability) or not ((probability >= 0) & (probability <= 1)).all():
        raise InputError(
            f"{what} needs probabilities of 0 to 1, got {len(probability)} numbers"
            + (f" of {probability.min()} to {probability.max()}" if len(probability) else "")
        )

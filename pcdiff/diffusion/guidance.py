"""Temperature and guidance: wrappers around a `Model`, for every manifold and every sampler.

Each wrapper is a `Model` itself, so wrappers nest:

    model = Guided(Tempered(field, 0.5), manifold, [cost])

predicts the noise of exp(−E/T − C) for a field with the energy E at temperature T and a cost C. The
wrapped model has this law at every noise level. Langevin moves draw from the law; deterministic
samplers follow its score but do not draw from it exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from pcdiff.diffusion.losses import Model
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.manifolds.base import Manifold
from pcdiff.manifolds.gradients import value_and_gradient

Cost = Callable[[Tensor], Tensor]
"""`cost(points)` maps points `(batch…, *point)` to costs `(batch…)`, which are dimensionless."""


@runtime_checkable
class BlurrableCost(Protocol):
    """A cost that has a softer form, which is used for noisy points.

    A steep cost makes a sampler diverge at high noise, where its steps are long.
    """

    def __call__(self, points: Tensor) -> Tensor:
        """Return the cost of each clean point, `(batch…)`."""

    def blurred(self, noise_level: float, length: float) -> Cost:
        """Return the cost to use for noisy points.

        Args:
            noise_level: σ of the points, dimensionless.
            length: ℓ of the manifold, such as metres per radian on SE(3); see `Manifold`.
        """


@dataclass(frozen=True, eq=False)
class Tempered:
    """ε̂/T: the predicted noise of p^{1/T} = exp(−E/T) at every noise level.

    Args:
        model: Noise predictor of p.
        temperature: T; values below 1 favour the modes, values above 1 flatten the law.

    Raises:
        InputError: If the temperature is not positive and finite.
    """

    model: Model
    temperature: float

    def __post_init__(self) -> None:
        """Check the temperature."""
        if not 0 < self.temperature < math.inf:
            raise InputError(f"the temperature must be positive and finite, got {self.temperature}")

    def __call__(self, x: Tensor, level: Level, condition: Any) -> Tensor:
        """Predict the noise in unit coordinates, `(batch…, *tangent)`."""
        return self.model(x, level, condition) / self.temperature


@dataclass(frozen=True, eq=False)
class Guided:
    """ε̂ + σ S^{1/2} ∇C: the predicted noise of p(x)·exp(−C(x)) at every noise level.

    ∇C = d/dv C(retract(x, v)) at v = 0. A `BlurrableCost` is blurred to the noise level of the
    points, and any other cost is used as it is. Checking the costs and blurring them reads values
    back from a GPU, so the host waits for the device at each evaluation.

    A call raises `InputError` if a cost does not return one number per point, if the gradient is
    not finite, or if a cost must be blurred and the points have several noise levels.

    Args:
        model: Noise predictor of p.
        manifold: Space of the points.
        costs: Costs, whose sum is C.
        frame: Map from the model's points to the points that the costs expect, such as a shift
            from the object's centre to the origin of its file; None if they are the same.
    """

    model: Model
    manifold: Manifold
    costs: Sequence[Cost]
    frame: Callable[[Tensor], Tensor] | None = None

    def __call__(self, x: Tensor, level: Level, condition: Any) -> Tensor:
        """Predict the noise in unit coordinates, `(batch…, *tangent)`."""
        noise = self.model(x, level, condition)
        if not self.costs or not x.numel():
            return noise
        costs = self.costs
        if any(isinstance(cost, BlurrableCost) for cost in costs):
            costs = blurred_costs(costs, _only(level.sigma), self.manifold.length)
        total = summed_cost(costs, self.manifold)

        def at_points(points: Tensor) -> Tensor:
            return total(points if self.frame is None else self.frame(points))

        _, gradient = value_and_gradient(at_points, self.manifold, x)
        if not gradient.isfinite().all():
            raise InputError("a guidance cost has a non-finite gradient")
        return noise + noise_from_score(self.manifold, -gradient, level)


@dataclass(frozen=True, eq=False)
class ClassifierFree:
    """(1 + w)·ε̂(condition) − w·ε̂(unconditional) (Ho & Salimans 2022, equation 6).

    Args:
        model: Noise predictor that was trained with and without the condition.
        weight: w; 0 leaves the conditional model as it is, larger values strengthen the condition.
        unconditional: Condition that stood for "no condition" when the model was trained.

    Raises:
        InputError: If the weight is not finite.
    """

    model: Model
    weight: float
    unconditional: Any = None

    def __post_init__(self) -> None:
        """Check the weight."""
        if not math.isfinite(self.weight):
            raise InputError(f"the guidance weight must be finite, got {self.weight}")

    def __call__(self, x: Tensor, level: Level, condition: Any) -> Tensor:
        """Predict the noise in unit coordinates, `(batch…, *tangent)`."""
        conditional = self.model(x, level, condition)
        unconditional = self.model(x, level, self.unconditional)
        return (1 + self.weight) * conditional - self.weight * unconditional


def cost_list(guidance: Any) -> list[Cost]:
    """Return the costs that a user gave as a list.

    Args:
        guidance: One cost, or a sequence of costs.

    Raises:
        InputError: If a cost is not callable.
    """
    costs = list(guidance) if isinstance(guidance, Sequence) else [guidance]
    for cost in costs:
        if not callable(cost):
            raise InputError(f"guidance must be a cost or a list of costs, got {cost!r}")
    return costs


def blurred_costs(costs: Sequence[Cost], noise_level: float, length: float) -> list[Cost]:
    """Return the costs for noisy points: each `BlurrableCost` blurred, the others unchanged.

    Args:
        costs: Costs of clean points.
        noise_level: σ of the points, dimensionless.
        length: ℓ of the manifold; see `Manifold`.
    """
    return [
        cost.blurred(noise_level, length) if isinstance(cost, BlurrableCost) else cost
        for cost in costs
    ]


def summed_cost(costs: Sequence[Cost], manifold: Manifold) -> Cost:
    """Return the sum of costs as one cost, which checks what each summand returns.

    Args:
        costs: Costs to add up, in this order.
        manifold: Space of the points.

    Returns:
        A cost that raises `InputError` if a summand does not return one number per point.
    """

    def total(points: Tensor) -> Tensor:
        # A zero that depends on the points, so that constant costs have a gradient, too.
        found = 0 * points.flatten(-manifold.point_ndim)[..., 0]
        for each in costs:
            cost = each(points)
            if cost.shape != found.shape or cost.isnan().any():
                raise InputError(
                    "a guidance cost must return one number per point, shape "
                    f"{tuple(found.shape)}, got shape {tuple(cost.shape)}"
                    + (" with NaN" if cost.isnan().any() else "")
                )
            found = found + cost
        return found

    return total


def _only(noise_level: Tensor) -> float:
    """Return the noise level that all points share."""
    least, most = torch.aminmax(noise_level)
    if least != most:
        raise InputError(
            "costs can be blurred only if all points have the same noise level, "
            f"got levels from {float(least):g} to {float(most):g}"
        )
    return float(most)

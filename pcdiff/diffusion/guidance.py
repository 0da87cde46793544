"""Temperature and guidance: wrappers around a `Model`, for every manifold and every sampler.

Each wrapper is itself a `Model`, so wrappers can be nested:

    model = Guided(Tempered(field, 0.5), manifold, [cost])

This model predicts the noise of the density exp(−E/T − C), for a field with energy E, a temperature
T = 0.5 and a cost C. The density has this form at every noise level. Langevin moves draw from the
density. Deterministic samplers follow its score but do not draw from the density exactly.
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
"""`cost(points)` maps points `(batch…, *point)` to dimensionless costs `(batch…)`."""


@runtime_checkable
class BlurrableCost(Protocol):
    """A cost with a softer version for noisy points.

    A steep cost makes a sampler diverge at high noise levels, because the steps are long there.
    """

    def __call__(self, points: Tensor) -> Tensor:
        """Return the cost of each clean point, `(batch…)`."""

    def blurred(self, noise_level: float, length: float) -> Cost:
        """Return the softer version of the cost for points of one noise level.

        Args:
            noise_level: Noise level σ of the points, dimensionless.
            length: Length ℓ of the manifold, in metres per radian on SE(3); see `Manifold`.
        """


@dataclass(frozen=True, eq=False)
class Tempered:
    """A model that predicts ε̂/T, the noise of p^{1/T} = exp(−E/T), at every noise level.

    Args:
        model: Model that predicts the noise ε̂ of p = exp(−E).
        temperature: Temperature T. Values below 1 sharpen p, and values above 1 flatten p.

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
    """A model that predicts ε̂ + σ S^{1/2} ∇C, the noise of p(x)·exp(−C(x)), at every noise level.

    Here S is the metric of the manifold, and ∇C = d/dv C(retract(x, v)) at v = 0. A `BlurrableCost`
    is blurred to the noise level of the points, and every other cost is used unchanged. The checks
    and the blurring read values back from a GPU, so the CPU waits for the GPU at each evaluation.

    A call raises `InputError` if a cost does not return one number per point, if the gradient is
    not finite, or if a cost must be blurred and the points have several noise levels.

    Args:
        model: Model that predicts the noise ε̂ of p.
        manifold: Space of the points.
        costs: Costs. C is the sum of the costs.
        frame: Function that converts points from the frame of the model to the frame of the costs,
            such as a shift from the object's centre to the origin of the object's file. None means
            that both frames are equal.
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
            raise InputError("the gradient of guidance costs must be finite, got NaN or infinity")
        return noise + noise_from_score(self.manifold, -gradient, level)


@dataclass(frozen=True, eq=False)
class ClassifierFree:
    """Classifier-free guidance, a model that predicts (1 + w)·ε̂(condition) − w·ε̂(unconditional).

    The formula is equation 6 of Ho & Salimans 2022.

    Args:
        model: Noise predictor that was trained with and without the condition.
        weight: Weight w. With w = 0, the result is the conditional model. A larger w strengthens
            the influence of the condition.
        unconditional: Condition that meant "no condition" in the training of the model.

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
    """Return a list of the costs in `guidance`.

    Args:
        guidance: One cost, or a sequence of costs.

    Raises:
        InputError: If a cost is not callable.
    """
    costs = list(guidance) if isinstance(guidance, Sequence) else [guidance]
    for cost in costs:
        if not callable(cost):
            raise InputError(f"guidance must be a callable or a list of callables, got {cost!r}")
    return costs


def blurred_costs(costs: Sequence[Cost], noise_level: float, length: float) -> list[Cost]:
    """Return costs for noisy points: each `BlurrableCost` is blurred, other costs are unchanged.

    Args:
        costs: Costs of clean points.
        noise_level: Noise level σ of the points, dimensionless.
        length: Length ℓ of the manifold, in metres per radian on SE(3); see `Manifold`.
    """
    return [
        cost.blurred(noise_level, length) if isinstance(cost, BlurrableCost) else cost
        for cost in costs
    ]


def summed_cost(costs: Sequence[Cost], manifold: Manifold) -> Cost:
    """Return the sum of several costs as one cost, which checks the values of each summand.

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
    """Return the common noise level of all points."""
    least, most = torch.aminmax(noise_level)
    if least != most:
        raise InputError(
            "blurred costs need points with equal noise levels, "
            f"got levels from {float(least):g} to {float(most):g}"
        )
    return float(most)

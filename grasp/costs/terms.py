"""Constraints on a grasp as costs: where its tool centre point is and whence it approaches.

A cost is an energy E, dimensionless and to be added to others: a pose of cost 1 is e times less
likely than one of cost 0. Each here is ½ |excess/σ|² of how far a constraint is exceeded: 0 where
it is met, quadratic beyond, with a continuous gradient. σ is in the unit of the excess: at an
excess of σ the cost is ½.

Poses are `T_object_grasp` in the frame of the object's file, tensors (…, 4, 4), metres. Gradients
are of the poses' entries; along a retraction they are d/dv E(retract(H, v)).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from pcdiff.errors import InputError

Cost = Callable[[Tensor], Tensor]
"""Of poses (…, 4, 4): (…), differentiable. What `sample` takes as `guidance`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Constraint(ABC):
    """Something that a pose can meet or exceed; called, the cost of exceeding it.

    Args:
        sigma: σ, the excess that costs ½, in the unit of the excess.

    Raises:
        InputError: σ is not above 0, or another argument is out of its range.
    """

    sigma: float

    def __post_init__(self) -> None:
        _check_positive("sigma", self.sigma)
        self._check()

    @abstractmethod
    def _check(self) -> None:
        """Refuse arguments that are out of their range."""

    @abstractmethod
    def _spread(self, noise_level: float, length: float) -> float:
        """The largest standard deviation that noise of a level gives the excess, in its unit."""

    @abstractmethod
    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch parts"]:
        """By how much the constraint is exceeded, in one number or several; 0 where it is met."""

    def __call__(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
        """½ |excess/σ|².

        Args:
            poses: `T_object_grasp`.
        """
        return (self.excess(poses) / self.sigma).square().sum(dim=-1) / 2

    def holds(self, poses: Float[Tensor, "*batch 4 4"]) -> Bool[Tensor, "*batch"]:
        """Whether the constraint is met: exactly where its cost is 0.

        Args:
            poses: `T_object_grasp`.
        """
        return (self.excess(poses) == 0).all(dim=-1)

    def blurred(self, noise_level: float, length: float) -> Constraint:
        """The same constraint, as lenient as it must be with poses that noise is still on.

        The cost of a normal excess with standard deviation s, −log E[exp(−½ (e/σ)²)], grows like
        ½ e²/(σ² + s²). To a sampler at a high noise level the cost itself is too steep: a step of
        size s² overshoots by s²/σ² times the excess, and diverges where that is above 2.

        Args:
            noise_level: Of the poses; dimensionless.
            length: ℓ of the noise, metres per radian.

        Raises:
            InputError: The noise level is negative or not finite.
        """
        if not 0 <= noise_level < math.inf:
            raise InputError(f"the noise level must be 0 or more and finite, got {noise_level}")
        return replace(self, sigma=math.hypot(self.sigma, self._spread(noise_level, length)))


@dataclass(frozen=True, eq=False)
class NearPoint(Constraint):
    """The tool centre point is in a ball; the excess is its distance to the ball, metres.

    Args:
        point: (3,), the centre of the ball in the object's frame, metres.
        radius: Of the ball, metres.
        tool_center_point: (3,), in the gripper's frame, metres: `Gripper.tool_center_point`.
        sigma: Metres.

    Raises:
        InputError: A number is not finite, or the radius or σ is not above 0.
    """

    point: Float[np.ndarray, "3"]
    radius: float
    tool_center_point: Float[np.ndarray, "3"]

    def _check(self) -> None:
        _check_vector("the point", self.point)
        _check_positive("the radius", self.radius)
        _check_vector("the tool centre point", self.tool_center_point)

    def _spread(self, noise_level: float, length: float) -> float:
        return _spread_of_point(self.tool_center_point, noise_level, length)

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 1"]:
        """The distance to the ball.

        Args:
            poses: `T_object_grasp`.
        """
        place = _placed(poses, self.tool_center_point) - poses.new_tensor(self.point)
        square = place.square().sum(dim=-1, keepdim=True)
        # The root is never of 0, where it has no slope; inside, the excess is 0 to the last digit.
        distance = square.clamp(min=self.radius**2).sqrt() - self.radius
        return distance * (square > self.radius**2)


@dataclass(frozen=True, eq=False)
class InBox(Constraint):
    """The tool centre point is in a box; the excess is the vector to the box, metres.

    Args:
        lower: (3,), the least coordinates in the object's frame, metres; −∞ for no bound.
        upper: (3,), the largest; +∞ for no bound.
        tool_center_point: (3,), in the gripper's frame, metres: `Gripper.tool_center_point`.
        sigma: Metres.

    Raises:
        InputError: A bound is NaN or the lower one above the upper, the tool centre point is not
            finite, or σ is not above 0.
    """

    lower: Float[np.ndarray, "3"]
    upper: Float[np.ndarray, "3"]
    tool_center_point: Float[np.ndarray, "3"]

    def _check(self) -> None:
        for bound in (self.lower, self.upper):
            if np.shape(bound) != (3,):
                raise InputError(f"a bound of a box must be three numbers, got {bound}")
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        fine = (lower <= upper) & (lower < np.inf) & (upper > -np.inf)
        if not fine.all():  # nor is NaN
            raise InputError(
                f"a box must begin before it ends, got {lower.tolist()} to {upper.tolist()}"
            )
        _check_vector("the tool centre point", self.tool_center_point)

    def _spread(self, noise_level: float, length: float) -> float:
        return _spread_of_point(self.tool_center_point, noise_level, length)

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 3"]:
        """The vector to the box, as lengths.

        Args:
            poses: `T_object_grasp`.
        """
        place = _placed(poses, self.tool_center_point)
        below = (poses.new_tensor(self.lower) - place).relu()
        return below + (place - poses.new_tensor(self.upper)).relu()


@dataclass(frozen=True, eq=False)
class ApproachCone(Constraint):
    """The approach, +z of the gripper, is in a cone about a direction.

    The excess is cos α − cos θ, for the cone's half-angle α and the angle θ between the two: unlike
    θ it is smooth everywhere. Exactly opposite to the direction it is largest, and its slope is 0.

    Args:
        direction: (3,), of the cone's axis in the object's frame, of any length but 0.
        half_angle: α, 0 to π, radians.
        sigma: Of a cosine, dimensionless.

    Raises:
        InputError: The direction has no length or is not finite, the half-angle is out of its
            range, or σ is not above 0.
    """

    direction: Float[np.ndarray, "3"]
    half_angle: float

    def _check(self) -> None:
        _check_vector("the direction", self.direction)
        if not 0 < np.linalg.norm(self.direction) < math.inf:
            raise InputError(
                f"the direction of an approach must have a length, got {self.direction.tolist()}"
            )
        if not 0 <= self.half_angle <= math.pi:
            raise InputError(
                f"the half-angle of a cone must be 0 to π radians, got {self.half_angle}"
            )

    def _spread(self, noise_level: float, length: float) -> float:
        return noise_level

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 1"]:
        """By how much the cosine is too small.

        Args:
            poses: `T_object_grasp`.
        """
        axis = poses.new_tensor(self.direction / np.linalg.norm(self.direction))
        cosine = (poses[..., :3, 2] * axis).sum(dim=-1, keepdim=True)
        return (math.cos(self.half_angle) - cosine).relu()


def _placed(poses: Tensor, point: np.ndarray) -> Tensor:
    """A point of the gripper in the object's frame: R p + t."""
    return poses[..., :3, :3] @ poses.new_tensor(point) + poses[..., :3, 3]


def _check_vector(what: str, vector: np.ndarray) -> None:
    if np.shape(vector) != (3,) or not np.isfinite(vector).all():
        raise InputError(f"{what} must be three finite numbers, got {vector}")


def _check_positive(what: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{what} must be above 0 and finite, got {value}")


def _spread_of_point(point: np.ndarray, noise_level: float, length: float) -> float:
    """Of a point of the gripper, metres: σℓ by moving and at most σ|p| by turning."""
    return noise_level * math.hypot(length, float(np.linalg.norm(point)))

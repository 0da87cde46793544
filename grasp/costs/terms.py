"""Costs that constrain the tool centre point and the approach direction of a grasp.

A cost is a dimensionless energy E that can be added to other energies. A pose with cost 1 is less
probable than a pose with cost 0 by a factor of e. Each cost in this module is ½ |excess/σ|², where
the excess is the amount by which a pose violates a constraint. The cost is 0 for poses that satisfy
the constraint, and it grows quadratically outside, with a continuous gradient. σ has the unit of
the excess: an excess of σ costs ½.

Poses are `T_object_grasp` in the frame of the object's file: tensors (…, 4, 4), translations in
metres. Autograd gives gradients with respect to the entries of the poses. A retraction converts
these gradients to d/dv E(retract(H, v)).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from grasp.grippers.gripper import Gripper
from pcdiff.errors import InputError

Cost = Callable[[Tensor], Tensor]
"""A differentiable function from poses (…, 4, 4) to costs (…); `sample` takes it as `guidance`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Constraint(ABC):
    """A condition that a pose can satisfy or violate; a call returns the cost of the violation.

    `str(constraint)` describes the constraint in words that an explanation can quote.

    Args:
        sigma: Excess σ that costs ½, in the unit of the excess.

    Attributes:
        parameter: Name of the setting that makes such a constraint, for example in
            `grasp.field.request.Request`.

    Raises:
        InputError: If σ is not above 0 and finite, or another argument is out of range.
    """

    sigma: float
    parameter: ClassVar[str] = "guidance"

    def __post_init__(self) -> None:
        _check_positive("sigma", self.sigma)
        self._check()

    @abstractmethod
    def _check(self) -> None:
        """Raise `InputError` if an argument is out of range."""

    @abstractmethod
    def _spread(self, noise_level: float, length: float) -> float:
        """Return the largest standard deviation of the excess of noisy poses.

        The standard deviation has the unit of the excess. `noise_level` is dimensionless, and
        `length` is in metres per radian.
        """

    @abstractmethod
    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch components"]:
        """Return the amount of violation, which is 0 if the pose satisfies the constraint.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """

    def __str__(self) -> str:
        return f"the constraint {type(self).__name__}"

    def __call__(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
        """Return the cost ½ |excess/σ|² of each pose.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        return (self.excess(poses) / self.sigma).square().sum(dim=-1) / 2

    def holds(self, poses: Float[Tensor, "*batch 4 4"]) -> Bool[Tensor, "*batch"]:
        """Return whether each pose satisfies the constraint, that is, has an excess of 0.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        return (self.excess(poses) == 0).all(dim=-1)

    def blurred(self, noise_level: float, length: float) -> Constraint:
        """Return a copy of the constraint with a larger σ for noisy poses.

        If the excess x is Gaussian with mean e and standard deviation s, the cost
        −log E[exp(−½ (x/σ)²)] grows like ½ e²/(σ² + s²) in e. At a high noise level the unblurred
        cost is too steep for a sampler: a step of size s² changes the excess by s²/σ² times the
        excess, and the sampler diverges if this factor is above 2.

        Args:
            noise_level: Noise level of the poses, dimensionless.
            length: Length ℓ of the noise in metres per radian.

        Raises:
            InputError: If the noise level is negative or not finite.
        """
        if not 0 <= noise_level < math.inf:
            raise InputError(f"the noise level must be 0 or more and finite, got {noise_level}")
        return replace(self, sigma=math.hypot(self.sigma, self._spread(noise_level, length)))


@dataclass(frozen=True, eq=False)
class NearPoint(Constraint):
    """A constraint that the tool centre point lies inside a ball.

    The excess is the distance from the tool centre point to the ball in metres.

    Args:
        point: Centre of the ball, (3,), in metres in the frame of the object's file.
        radius: Radius of the ball in metres.
        gripper: Gripper whose tool centre point is constrained.
        sigma: Distance in metres that costs ½.

    Raises:
        InputError: If `point` is not three finite numbers, or the radius or σ is not above 0 and
            finite.
    """

    point: Float[np.ndarray, "3"]
    radius: float
    gripper: Gripper
    parameter: ClassVar[str] = "region"

    def __str__(self) -> str:
        return f"the region within {self.radius:g} m of {_listed(self.point)}"

    def _check(self) -> None:
        _check_vector("the point", self.point)
        _check_positive("the radius", self.radius)

    def _spread(self, noise_level: float, length: float) -> float:
        return _spread_of_tool(self.gripper, noise_level, length)

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 1"]:
        """Return the distance from the tool centre point to the ball in metres.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        offset = self.gripper.tool_points(poses) - poses.new_tensor(self.point)
        square = offset.square().sum(dim=-1, keepdim=True)
        # The clamp avoids the square root of 0, which has no gradient. The product in the last
        # line makes the excess exactly 0 inside the ball.
        distance = square.clamp(min=self.radius**2).sqrt() - self.radius
        return distance * (square > self.radius**2)


@dataclass(frozen=True, eq=False)
class AwayFromPoint(Constraint):
    """A constraint that the tool centre point lies outside a ball, for example around a hot spout.

    With the distance d from the tool centre point to the centre of the ball and the radius r, the
    excess inside the ball is (r² − d²)/(2r) in metres. Near the surface of the ball, this is the
    depth inside the ball. It is smooth at the centre, where the depth r − d is not. The excess is
    largest at the centre, r/2; the gradient there is 0.

    Args:
        point: Centre of the ball, (3,), in metres in the frame of the object's file.
        radius: Radius of the ball in metres.
        gripper: Gripper whose tool centre point is constrained.
        sigma: Excess in metres that costs ½.

    Raises:
        InputError: If `point` is not three finite numbers, or the radius or σ is not above 0 and
            finite.
    """

    point: Float[np.ndarray, "3"]
    radius: float
    gripper: Gripper
    parameter: ClassVar[str] = "avoid"

    def __str__(self) -> str:
        return f"the avoided ball within {self.radius:g} m of {_listed(self.point)}"

    def _check(self) -> None:
        _check_vector("the point", self.point)
        _check_positive("the radius", self.radius)

    def _spread(self, noise_level: float, length: float) -> float:
        # Inside the ball, the excess changes by d/r ≤ 1 times the way of the tool centre point.
        return _spread_of_tool(self.gripper, noise_level, length)

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 1"]:
        """Return (r² − d²)/(2r) in metres inside the ball, and 0 outside.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        offset = self.gripper.tool_points(poses) - poses.new_tensor(self.point)
        square = offset.square().sum(dim=-1, keepdim=True)
        return (self.radius**2 - square).relu() / (2 * self.radius)


@dataclass(frozen=True, eq=False)
class InBox(Constraint):
    """A constraint that the tool centre point lies inside a box.

    The excess has three components in metres: the distances from the tool centre point to the box
    along the x, y and z axes.

    Args:
        lower: Lower bounds, (3,), in metres in the frame of the object's file; −∞ for no bound.
        upper: Upper bounds, (3,), in metres in the frame of the object's file; +∞ for no bound.
        gripper: Gripper whose tool centre point is constrained.
        sigma: Distance in metres that costs ½.

    Raises:
        InputError: If `lower` or `upper` is not three numbers, a bound is NaN, a lower bound is +∞
            or above its upper bound, an upper bound is −∞, or σ is not above 0 and finite.
    """

    lower: Float[np.ndarray, "3"]
    upper: Float[np.ndarray, "3"]
    gripper: Gripper

    def __str__(self) -> str:
        return f"the box from {_listed(self.lower)} to {_listed(self.upper)}"

    def _check(self) -> None:
        for bound in (self.lower, self.upper):
            if np.shape(bound) != (3,):
                raise InputError(
                    f"the lower and upper bounds of a box must be three numbers each, got {bound}"
                )
        lower, upper = np.asarray(self.lower), np.asarray(self.upper)
        fine = (lower <= upper) & (lower < np.inf) & (upper > -np.inf)
        if not fine.all():  # NaN fails, too
            raise InputError(
                "the lower bounds of a box must not be above its upper bounds, "
                f"got {lower.tolist()} and {upper.tolist()}"
            )

    def _spread(self, noise_level: float, length: float) -> float:
        return _spread_of_tool(self.gripper, noise_level, length)

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 3"]:
        """Return the distances from the tool centre point to the box along each axis, in metres.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        points = self.gripper.tool_points(poses)
        below = (poses.new_tensor(self.lower) - points).relu()
        return below + (points - poses.new_tensor(self.upper)).relu()


@dataclass(frozen=True, eq=False)
class ApproachCone(Constraint):
    """A constraint that the approach direction, +z of the gripper, lies inside a cone.

    The excess outside the cone is cos α − cos θ. α is the half-angle of the cone, and θ is the
    angle between the approach direction and the axis of the cone. cos θ is smooth for all
    directions, but θ is not. The excess is largest if the approach direction is opposite to the
    axis; the gradient there is 0.

    Args:
        direction: Axis of the cone, (3,), in the frame of the object's file. Its length has no
            effect, but must not be 0.
        half_angle: Half-angle α of the cone in radians, 0 to π.
        sigma: Difference of cosines that costs ½, dimensionless.

    Raises:
        InputError: If the direction is not three finite numbers or has length 0, the half-angle is
            not from 0 to π, or σ is not above 0 and finite.
    """

    direction: Float[np.ndarray, "3"]
    half_angle: float
    parameter: ClassVar[str] = "approach"

    def __str__(self) -> str:
        degrees = math.degrees(self.half_angle)
        return f"the approach cone of {degrees:g}° around {_listed(self.direction)}"

    def _check(self) -> None:
        _check_vector("the direction", self.direction)
        if not 0 < np.linalg.norm(self.direction) < math.inf:
            raise InputError(
                "an approach direction must not have length 0, got "
                f"{np.asarray(self.direction).tolist()}"
            )
        if not 0 <= self.half_angle <= math.pi:
            raise InputError(
                f"the half-angle of a cone must be from 0 to π radians, got {self.half_angle}"
            )

    def _spread(self, noise_level: float, length: float) -> float:
        return noise_level

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 1"]:
        """Return by how much the cosine of the angle between approach and axis is too small.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        axis = poses.new_tensor(self.direction / np.linalg.norm(self.direction))
        cosine = (poses[..., :3, 2] * axis).sum(dim=-1, keepdim=True)
        return (math.cos(self.half_angle) - cosine).relu()


def _listed(vector: np.ndarray) -> str:
    return f"({', '.join(f'{number:g}' for number in vector)})"


def _check_vector(what: str, vector: np.ndarray) -> None:
    if np.shape(vector) != (3,) or not np.isfinite(vector).all():
        raise InputError(f"{what} must be three finite numbers, got {vector}")


def _check_positive(what: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{what} must be above 0 and finite, got {value}")


def _spread_of_tool(gripper: Gripper, noise_level: float, length: float) -> float:
    """Return the largest standard deviation of the tool centre point p in metres under noise.

    The noise of level σ has a translational and a rotational component. Translation contributes σℓ,
    where ℓ is `length` in metres per radian. Rotation contributes at most σ|p|: the maximum is in
    the directions perpendicular to p.
    """
    reach = float(np.linalg.norm(gripper.tool_center_point))
    return noise_level * math.hypot(length, reach)

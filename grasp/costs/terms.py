"""Constraints on a grasp as costs: where its tool centre point is and from where it approaches.

A cost is a dimensionless energy E that can be added to other energies: a pose of cost 1 is e times
less likely than a pose of cost 0. Each cost here is ½ |excess/σ|², where the excess says by how
much a constraint is violated. It is 0 where the constraint holds and quadratic beyond, with a
continuous gradient. σ has the unit of the excess: at an excess of σ the cost is ½.

Poses are `T_object_grasp` in the frame of the object's file: tensors (…, 4, 4), translations in
metres. Autograd gives gradients with respect to the entries of the poses; through a retraction they
become d/dv E(retract(H, v)).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from grasp.grippers.gripper import Gripper
from pcdiff.errors import InputError

Cost = Callable[[Tensor], Tensor]
"""A differentiable function from poses (…, 4, 4) to costs (…); `sample` takes it as `guidance`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Constraint(ABC):
    """A condition that a pose can satisfy or violate; calling it gives the cost of the violation.

    Args:
        sigma: Excess σ that costs ½, in the unit of the excess.

    Raises:
        InputError: If σ is not above 0, or another argument is out of its range.
    """

    sigma: float

    def __post_init__(self) -> None:
        _check_positive("sigma", self.sigma)
        self._check()

    @abstractmethod
    def _check(self) -> None:
        """Check that every argument is in its range; raise `InputError` otherwise."""

    @abstractmethod
    def _spread(self, noise_level: float, length: float) -> float:
        """Return the largest standard deviation of the excess under noise, in the excess's unit."""

    @abstractmethod
    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch components"]:
        """The amount of violation, in one or more components; all are 0 where the constraint holds.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """

    def __call__(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
        """Return the cost ½ |excess/σ|².

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        return (self.excess(poses) / self.sigma).square().sum(dim=-1) / 2

    def holds(self, poses: Float[Tensor, "*batch 4 4"]) -> Bool[Tensor, "*batch"]:
        """Test whether each pose satisfies the constraint, that is, whether its excess is 0.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        return (self.excess(poses) == 0).all(dim=-1)

    def blurred(self, noise_level: float, length: float) -> Constraint:
        """Return the same constraint with a larger σ, which suits noisy poses.

        For a normal excess with mean e and standard deviation s, the cost −log E[exp(−½ (e/σ)²)]
        grows like ½ e²/(σ² + s²). At a high noise level the unblurred cost is too steep for a
        sampler: a step of size s² overshoots by s²/σ² times the excess, and diverges where this
        factor is above 2.

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
    """The tool centre point lies in a ball; the excess is its distance to the ball in metres.

    Args:
        point: Centre of the ball, (3,), in metres in the object's frame.
        radius: Radius of the ball in metres.
        gripper: Gripper whose tool centre point is constrained.
        sigma: Distance in metres that costs ½.

    Raises:
        InputError: If a number is not finite, or the radius or σ is not above 0.
    """

    point: Float[np.ndarray, "3"]
    radius: float
    gripper: Gripper

    def _check(self) -> None:
        _check_vector("the point", self.point)
        _check_positive("the radius", self.radius)

    def _spread(self, noise_level: float, length: float) -> float:
        return _spread_of_tool(self.gripper, noise_level, length)

    def excess(self, poses: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 1"]:
        """The distance from the tool centre point to the ball in metres.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        offset = self.gripper.tool_points(poses) - poses.new_tensor(self.point)
        square = offset.square().sum(dim=-1, keepdim=True)
        # The clamp avoids the square root of 0, which has no gradient; the product makes the excess
        # exactly 0 inside the ball.
        distance = square.clamp(min=self.radius**2).sqrt() - self.radius
        return distance * (square > self.radius**2)


@dataclass(frozen=True, eq=False)
class InBox(Constraint):
    """The tool centre point lies in a box; the excess is the vector from it to the box in metres.

    Args:
        lower: Lower bounds, (3,), in metres in the object's frame; −∞ for no bound.
        upper: Upper bounds, (3,), in metres in the object's frame; +∞ for no bound.
        gripper: Gripper whose tool centre point is constrained.
        sigma: Distance in metres that costs ½.

    Raises:
        InputError: If a bound is NaN, a lower bound is above its upper bound, or σ is not above 0.
    """

    lower: Float[np.ndarray, "3"]
    upper: Float[np.ndarray, "3"]
    gripper: Gripper

    def _check(self) -> None:
        for bound in (self.lower, self.upper):
            if np.shape(bound) != (3,):
                raise InputError(f"each bound of a box must be three numbers, got {bound}")
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
        """The absolute components of the vector from the tool centre point to the box in metres.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        points = self.gripper.tool_points(poses)
        below = (poses.new_tensor(self.lower) - points).relu()
        return below + (points - poses.new_tensor(self.upper)).relu()


@dataclass(frozen=True, eq=False)
class ApproachCone(Constraint):
    """The approach direction, +z of the gripper, lies in a cone around a given direction.

    The excess is cos α − cos θ, where α is the half-angle of the cone and θ the angle between the
    approach and the cone's axis. Unlike θ, it is smooth everywhere. It is largest exactly opposite
    to the axis, where its gradient is 0.

    Args:
        direction: Axis of the cone, (3,), in the object's frame; of any length but 0.
        half_angle: Half-angle α of the cone in radians, 0 to π.
        sigma: Difference of cosines that costs ½, dimensionless.

    Raises:
        InputError: If the direction has length 0 or is not finite, the half-angle is out of its
            range, or σ is not above 0.
    """

    direction: Float[np.ndarray, "3"]
    half_angle: float

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
        """The amount by which the cosine between approach and axis is too small.

        Args:
            poses: Grasp poses `T_object_grasp`.
        """
        axis = poses.new_tensor(self.direction / np.linalg.norm(self.direction))
        cosine = (poses[..., :3, 2] * axis).sum(dim=-1, keepdim=True)
        return (math.cos(self.half_angle) - cosine).relu()


def _check_vector(what: str, vector: np.ndarray) -> None:
    if np.shape(vector) != (3,) or not np.isfinite(vector).all():
        raise InputError(f"{what} must be three finite numbers, got {vector}")


def _check_positive(what: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{what} must be above 0 and finite, got {value}")


def _spread_of_tool(gripper: Gripper, noise_level: float, length: float) -> float:
    """Standard deviation of the tool centre point p in metres, by translation and rotation.

    Translation gives σℓ. Rotation gives at most σ|p|, reached in directions perpendicular to p.
    """
    reach = float(np.linalg.norm(gripper.tool_center_point))
    return noise_level * math.hypot(length, reach)

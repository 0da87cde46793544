"""The choice of grasps from samples of a grasp field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grasp.costs import Constraint
from grasp.grippers.gripper import Gripper
from grasp.poses.subsets import spread, thin
from grasp.scenes.collision import in_collision
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.scenes.scene import Scene


@dataclass(frozen=True)
class Selection:
    """Settings for choosing grasps from samples.

    Attributes:
        oversampling: Number of samples drawn per requested grasp, before any further attempts.
        attempts: Limit for further samples, which are drawn if too few collision-free grasps are
            found. The total number of samples is at most `attempts` times `oversampling` times the
            number of requested grasps.
        least_probability: Smallest probability of success of a returned grasp.
        likely: Smallest probability of success of the samples from which a diverse subset is
            chosen (see `grasp.poses.subsets.spread`), because the samples with the highest
            probabilities resemble one another. If too few samples reach it, samples with lower
            probabilities are added, best first. With 1, the grasps with the highest probabilities
            are returned.
        apart: Distance between tool centre points in metres, and angle in radians. Only the best of
            several grasps within both limits is returned (see `grasp.poses.subsets.thin`). None
            sets no limits.

    Raises:
        InputError: If a number is out of range.
    """

    oversampling: float = 8.0
    attempts: int = 3
    least_probability: float = 0.4
    likely: float = 0.9
    apart: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.oversampling <= 100:
            raise InputError(f"oversampling must be 1 to 100, got {self.oversampling}")
        if not 1 <= self.attempts <= 100:
            raise InputError(f"attempts must be 1 to 100, got {self.attempts}")
        for name in ("least_probability", "likely"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} must be a probability of success, 0 to 1, got {value}")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary for JSON."""
        return asdict(self)


CLOUD_SELECTION = Selection(oversampling=3.0, likely=1.0)
"""Default settings for a point cloud. They return the grasps with the highest probabilities of
success: the hidden side of a cloud makes lower probabilities unreliable."""


def default_selection(is_mesh: bool) -> Selection:
    """Return the default settings: `Selection()` for a mesh, `CLOUD_SELECTION` for a cloud."""
    return Selection() if is_mesh else CLOUD_SELECTION


class Assessed(NamedTuple):
    """Samples and their properties.

    Attributes:
        poses: Poses `T_object_grasp`, translations in metres.
        probability: Probability of success of each sample.
        holds: True for each sample and each constraint that the sample satisfies.
        hits_object: True for each sample with a collision of the open hand with the object.
        hits_scene: True for each sample with a collision of the open hand with the surroundings.
        constraints: The constraints that grasps must satisfy.
    """

    poses: Float[Tensor, "samples 4 4"]
    probability: Float[np.ndarray, " samples"]
    holds: Bool[np.ndarray, "samples constraints"]
    hits_object: Bool[np.ndarray, " samples"]
    hits_scene: Bool[np.ndarray, " samples"]
    constraints: tuple[Constraint, ...] = ()

    @property
    def meets(self) -> Bool[np.ndarray, " samples"]:
        """True for each sample that satisfies all constraints."""
        return np.all(self.holds, axis=1)

    @property
    def collides(self) -> Bool[np.ndarray, " samples"]:
        """True for each sample with a collision of the open hand with the object or the scene."""
        return self.hits_object | self.hits_scene

    def joined(self, other: Assessed) -> Assessed:
        """Return these samples, followed by the samples in `other` under the same constraints."""
        return Assessed(
            torch.cat([self.poses, other.poses]),
            np.concatenate([self.probability, other.probability]),
            np.concatenate([self.holds, other.holds]),
            np.concatenate([self.hits_object, other.hits_object]),
            np.concatenate([self.hits_scene, other.hits_scene]),
            self.constraints,
        )


def assessed(
    poses: Float[Tensor, "samples 4 4"],
    probability: Float[np.ndarray, " samples"],
    gripper: Gripper,
    points: Float[np.ndarray, "points 3"],
    constraints: Sequence[Constraint] = (),
    scene: Scene | None = None,
) -> Assessed:
    """Test constraints and collisions of samples.

    Args:
        poses: Poses `T_object_grasp` of the samples on the CPU, translations in metres.
        probability: Probability of success of each sample.
        gripper: Gripper of the grasps.
        points: Points on the object's surface in metres.
        constraints: Constraints that grasps must satisfy.
        scene: Surroundings of the object; None for no surroundings.
    """
    arrays = poses.double().numpy()
    holds = np.ones((len(arrays), len(constraints)), bool)
    for place, constraint in enumerate(constraints):
        holds[:, place] = constraint.holds(poses).numpy()
    hits_object = in_collision(arrays, gripper, points)
    hits_scene = np.zeros_like(hits_object)
    if scene is not None:
        hits_scene = scene.in_collision(arrays, gripper)
    return Assessed(poses, probability, holds, hits_object, hits_scene, tuple(constraints))


def select(
    samples: Assessed,
    count: int,
    selection: Selection,
    tool_center_point: Float[np.ndarray, "3"],
) -> Int[np.ndarray, " chosen"]:
    """Return the indices of the chosen samples, sorted from best to worst.

    Samples with a collision come last.

    Args:
        samples: Samples to choose from.
        count: Largest number of chosen samples.
        selection: Settings of the choice.
        tool_center_point: Tool centre point in the gripper's frame in metres. The distance between
            two grasps is the distance between their tool centre points.
    """
    probability, collides = samples.probability, samples.collides
    at_tool = samples.poses.double().numpy().copy()
    at_tool[:, :3, 3] += at_tool[:, :3, :3] @ tool_center_point
    usable = samples.meets & (probability >= selection.least_probability)
    if not (usable & ~samples.hits_object).any():
        usable[:] = False  # the open hand collides with the object in all usable samples
    order = np.lexsort([-probability, collides])
    order = order[usable[order]]
    if selection.apart is not None:
        order = order[thin(at_tool[order], *selection.apart)]
    free = order[~collides[order]]
    enough = max((probability[free] >= selection.likely).sum(), count)
    if len(free[:enough]) > count:
        order = free[np.sort(spread(at_tool[free[:enough]], count))]
    return order[:count]

"""The choice of grasps from samples of a grasp field.

`select` chooses and sorts the returned grasps. `shortfall` explains why fewer grasps are returned
than requested.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grasp.grippers.gripper import Gripper
from grasp.objects.normals import directions
from grasp.poses.subsets import spread, thin
from pcdiff.errors import InputError

_DIRECTIONS = 400  # number of directions in which the extent of an object is measured


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
        meets: True for each sample that satisfies all constraints.
        hits_object: True for each sample with a collision of the open hand with the object.
        hits_scene: True for each sample with a collision of the open hand with the surroundings.
    """

    poses: Float[Tensor, "samples 4 4"]
    probability: Float[np.ndarray, " samples"]
    meets: Bool[np.ndarray, " samples"]
    hits_object: Bool[np.ndarray, " samples"]
    hits_scene: Bool[np.ndarray, " samples"]

    @property
    def collides(self) -> Bool[np.ndarray, " samples"]:
        """True for each sample with a collision of the open hand with the object or the scene."""
        return self.hits_object | self.hits_scene

    def joined(self, other: Assessed) -> Assessed:
        """Return these samples, followed by the samples in `other`."""
        (poses, *known), (more, *more_known) = self, other
        return Assessed(
            torch.cat([poses, more]),
            *(np.concatenate(each) for each in zip(known, more_known, strict=True)),
        )


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


def shortfall(
    samples: Assessed, returned: int, selection: Selection, protocol: str, facts: str
) -> str:
    """Return the sentence that explains why fewer grasps are returned than requested.

    Args:
        samples: All samples.
        returned: Number of returned grasps.
        selection: Settings that were used to choose the grasps.
        protocol: Version of the physics protocol that the probabilities refer to.
        facts: Facts to append if no grasp is returned, such as the size of the object.
    """
    drawn, least = len(samples.poses), f"{selection.least_probability:g}"
    if not samples.meets.any():
        return f"none of {drawn} samples satisfies the constraints"
    enough = int((samples.meets & (samples.probability >= selection.least_probability)).sum())
    if returned:
        far = f", and {returned} of these samples are far enough from better samples"
        return (
            f"{enough} of {drawn} samples have a probability of success of at least {least} under "
            f"protocol {protocol}"
            + (far if returned < enough else "")
            + "; draw more samples to get more grasps"
        )
    free = int((samples.meets & ~samples.hits_object).sum())
    best = samples.probability[samples.meets].max()
    return (
        f"no grasp is likely to succeed: of {drawn} samples, {enough} have a probability of "
        f"success of at least {least} under protocol {protocol} (the highest is {best:.2f}) and "
        f"{free} have no collision of the open hand with the object, but no sample has both "
        f"properties; {facts}"
    )


def size_fact(points: Float[np.ndarray, "points 3"], gripper: Gripper) -> str:
    """Return a clause that compares the narrowest width of an object with the stroke of a gripper.

    Args:
        points: Points on the object's surface in metres.
        gripper: The gripper.
    """
    # The coordinate axes are included because CAD models are often narrowest along one of them.
    along = np.concatenate([np.eye(3), directions(_DIRECTIONS)])
    extents = np.ptp(points @ along.T, axis=0)
    return (
        f"the object is {1000 * extents.min():.0f} mm wide at its narrowest, and "
        f"{gripper.name} opens {1000 * gripper.stroke:.0f} mm"
    )

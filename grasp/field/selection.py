"""Choose grasps from samples of a field: which are returned, in which order, and why so few.

The functions here work on arrays: properties of each sample, and the place of its tool centre
point.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grasp.poses.subsets import spread, thin
from pcdiff.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Settings for choosing grasps from samples.

    Attributes:
        oversampling: Samples drawn per requested grasp.
        attempts: Largest number of samples that may be drawn in total, as a multiple of those that
            `oversampling` gives. More samples are drawn while too few collision-free grasps are
            found.
        least_probability: Smallest probability of success of a grasp that is returned.
        likely: Probability of success from which samples count as equally good. Among these, the
            most diverse are returned instead of the likeliest, which resemble one another.
        choice: Number of samples to choose from per requested grasp. If fewer samples are `likely`,
            the next likeliest fill up the choice. If both `choice` and `likely` are 1, the
            likeliest grasps are returned.
        apart: Distance between tool centre points in metres and angle in radians. Of grasps that
            differ by less than both, only the best is returned (see `grasp.poses.subsets.thin`).
            None returns them all.

    Raises:
        InputError: If a number is out of its range.
    """

    oversampling: float = 6.0
    attempts: int = 3
    least_probability: float = 0.4
    likely: float = 0.6
    choice: float = 1.75
    apart: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("oversampling", "choice"):
            if not 1 <= getattr(self, name) <= 100:
                raise InputError(f"{name} must be 1 to 100, got {getattr(self, name)}")
        if not 1 <= self.attempts <= 100:
            raise InputError(f"attempts must be 1 to 100, got {self.attempts}")
        for name in ("least_probability", "likely"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} must be a probability of success, 0 to 1, got {value}")

    def as_dict(self) -> dict[str, Any]:
        """The settings as a dictionary for JSON."""
        return asdict(self)


CLOUD_SELECTION = Selection(oversampling=3.0, likely=1.0, choice=1.0)
"""The default for a point cloud. One side of it may be hidden, so a grasp that differs from the
likeliest is less likely to hold than it seems."""


def default_selection(is_mesh: bool) -> Selection:
    """Return the default selection: `Selection()` for a mesh, `CLOUD_SELECTION` for a cloud."""
    return Selection() if is_mesh else CLOUD_SELECTION


class Assessed(NamedTuple):
    """Samples and their properties.

    Attributes:
        poses: Poses `T_object_grasp`, translations in metres.
        probability: Probability of success.
        meets: True where all constraints are met.
        hits_object: True where the open hand collides with the object.
        hits_scene: True where the open hand collides with the surroundings.
    """

    poses: Float[Tensor, "samples 4 4"]
    probability: Float[np.ndarray, " samples"]
    meets: Bool[np.ndarray, " samples"]
    hits_object: Bool[np.ndarray, " samples"]
    hits_scene: Bool[np.ndarray, " samples"]

    @property
    def collides(self) -> Bool[np.ndarray, " samples"]:
        """True where the open hand collides with anything."""
        return self.hits_object | self.hits_scene

    def joined(self, other: Assessed) -> Assessed:
        """Join these samples with others, which come after them."""
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
    """Choose the indices of the samples to return, best first; those in collision come last.

    Args:
        samples: Samples to choose from.
        count: Largest number of grasps.
        selection: Settings for choosing them.
        tool_center_point: Tool centre point in the gripper's frame in metres; distances between
            grasps are measured there.
    """
    probability, collides = samples.probability, samples.collides
    at_tool = samples.poses.double().numpy().copy()
    at_tool[:, :3, 3] += at_tool[:, :3, :3] @ tool_center_point
    usable = samples.meets & (probability >= selection.least_probability)
    if not (usable & ~samples.hits_object).any():
        usable[:] = False  # whatever the network says: the hand does not fit anywhere
    order = np.lexsort([-probability, collides])
    order = order[usable[order]]
    if selection.apart is not None:
        order = order[thin(at_tool[order], *selection.apart)]
    free = order[~collides[order]]
    choice = max((probability[free] >= selection.likely).sum(), math.ceil(selection.choice * count))
    if len(free[:choice]) > count:
        order = free[np.sort(spread(at_tool[free[:choice]], count))]
    return order[:count]


def shortfall(samples: Assessed, returned: int, selection: Selection, facts: str) -> str:
    """Write the sentence that says why there are fewer grasps than requested.

    Args:
        samples: All samples.
        returned: Number of grasps that were found.
        selection: Settings with which the grasps were chosen.
        facts: Facts to mention if there are no grasps, such as the size of the object.
    """
    drawn, least = len(samples.poses), f"{selection.least_probability:g}"
    if not samples.meets.any():
        return f"none of {drawn} samples satisfies the constraints"
    enough = int((samples.meets & (samples.probability >= selection.least_probability)).sum())
    if returned:
        far = f", and {returned} of these are far enough from better ones"
        return (
            f"{enough} of {drawn} samples have a probability of success of at least {least}"
            + (far if returned < enough else "")
            + "; draw more samples to get more grasps"
        )
    free = int((samples.meets & ~samples.hits_object).sum())
    best = samples.probability[samples.meets].max()
    return (
        f"no grasp is likely to hold: of {drawn} samples, {enough} have a probability of success "
        f"of at least {least} (the best {best:.2f}) and {free} keep the open hand clear of the "
        f"object, but none does both; {facts}"
    )

"""From samples of a field to grasps: which are given, in which order, or why there are none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp.costs import Constraint
from grasp.formats import Grasps
from grasp.objects.normals import directions
from grasp.physics.protocol import PROTOCOL
from grasp.poses.subsets import spread, thin
from grasp.scenes.collision import closing_width, in_collision

if TYPE_CHECKING:
    from grasp.field.conditioned import ConditionedField
    from grasp.field.sampling import Sampling
    from grasp.scenes.scene import Scene

_DIRECTIONS = 400  # along which an object is measured


class Judged(NamedTuple):
    """Samples and what is known of each.

    Attributes:
        poses: `T_object_grasp`, metres.
        probability: of success.
        meets: whether it meets all constraints.
        hits_object: whether the open hand is in collision with the object.
        hits_scene: with what stands around it.
    """

    poses: Float[Tensor, "samples 4 4"]
    probability: Float[np.ndarray, " samples"]
    meets: Bool[np.ndarray, " samples"]
    hits_object: Bool[np.ndarray, " samples"]
    hits_scene: Bool[np.ndarray, " samples"]

    def and_also(self, other: Judged) -> Judged:
        """These and others."""
        (poses, *known), (more, *more_known) = self, other
        return Judged(
            torch.cat([poses, more]),
            *(np.concatenate(each) for each in zip(known, more_known, strict=True)),
        )


@torch.no_grad()
def judge(
    field: ConditionedField,
    samples: Float[Tensor, "samples 4 4"],
    constraints: Sequence[Constraint] = (),
    scene: Scene | None = None,
) -> Judged:
    """What is known of samples; arguments as for `ConditionedField.sample`.

    Args:
        field: that they are of.
        samples: `T_object_grasp`, metres.
        constraints: that grasps must meet.
        scene: what stands around the object.
    """
    probability = field.success_probability(samples).double().cpu().numpy()
    samples = samples.cpu()
    poses = samples.double().numpy()
    clear = np.zeros(len(poses), bool)
    return Judged(
        samples,
        probability,
        np.all([~clear, *(each.holds(samples).numpy() for each in constraints)], axis=0),
        in_collision(poses, field.gripper, field.points),
        clear if scene is None else scene.in_collision(poses, field.gripper),
    )


def select(field: ConditionedField, judged: Judged, count: int, how: Sampling) -> Grasps:
    """The grasps among samples; see `ConditionedField.sample`.

    Args:
        field: that they are of.
        judged: the samples, and what is known of them.
        count: how many grasps at most.
        how: says which are likely enough, and how far they must be apart.
    """
    samples, probability, meets, hits_object, hits_scene = judged
    at_tool = samples.double().numpy().copy()  # where grasps are near each other, not at the base
    at_tool[:, :3, 3] += at_tool[:, :3, :3] @ field.gripper.tool_center_point
    given = meets & (probability >= how.least_probability)
    if not (given & ~hits_object).any():
        given[:] = False  # whatever the network thinks of them
    collides = hits_object | hits_scene
    order = np.lexsort([-probability, collides])
    order = order[given[order]]
    if how.apart is not None:
        order = order[thin(at_tool[order], *how.apart)]
    # Of more than are asked for, not the likeliest, which are much alike.
    free = order[~collides[order]]
    choice = max((probability[free] >= how.likely).sum(), math.ceil(how.choice * count))
    if len(free[:choice]) > count:
        order = free[np.sort(spread(at_tool[free[:choice]], count))]
    order = order[:count]
    reason = _reason(field, judged, len(order), how) if len(order) < count else None
    if len(order) and hits_scene[order].all():
        reason = "all of these are in collision with the scene" + (f"; {reason}" if reason else "")
    return _grasps(
        field, samples[torch.from_numpy(order)], probability[order], collides[order], reason
    )


def refusal(field: ConditionedField) -> Grasps:
    """No grasps, for the gripper spans no part of the object."""
    nothing = np.zeros(0)
    reason = (
        f"no two places of the surface face away from each other within the stroke: {_sizes(field)}"
    )
    return _grasps(field, torch.zeros(0, 4, 4), nothing, nothing.astype(bool), reason)


def _grasps(
    field: ConditionedField,
    chosen: Tensor,
    probability: np.ndarray,
    collides: np.ndarray,
    reason: str | None,
) -> Grasps:
    poses = chosen.double().numpy()
    energy = np.zeros(0)
    if len(poses):
        with torch.no_grad():
            energy = field.cost(chosen).double().numpy()
    return Grasps(
        poses=poses,
        gripper=field.gripper.name,
        object_file=field.obj.file,
        object_scale=field.obj.scale,
        object_sha256=field.obj.sha256,
        energy=energy,
        success_probability=probability,
        width=closing_width(poses, field.gripper, field.points),
        in_collision=collides,
        tool_center_point=field.gripper.tool_center_point,
        reason=reason,
    )


def _reason(field: ConditionedField, judged: Judged, given: int, how: Sampling) -> str:
    """Why there are fewer grasps than asked for."""
    samples, least = len(judged.poses), f"{how.least_probability:g}"
    if not judged.meets.any():
        return f"none of {samples} samples meets what guided them"
    enough = int((judged.meets & (judged.probability >= how.least_probability)).sum())
    if given:
        return (
            f"{enough} of {samples} samples have a probability of success of at least {least}"
            + (f", and {given} of these are far enough from better ones" if given < enough else "")
            + "; draw more samples for more grasps"
        )
    free = int((judged.meets & ~judged.hits_object).sum())
    return (
        f"no grasp is likely to hold: of {samples} samples {enough} have a probability of success "
        f"of at least {least} (the best {judged.probability[judged.meets].max():.2f}) and {free} "
        f"keep the open hand free of the object, but none both; {_weight(field)}{_sizes(field)}"
    )


def _weight(field: ConditionedField) -> str:
    """How heavy the object is, if that is known."""
    if field.weight is None:
        return ""
    at = f" at {PROTOCOL.density:g} kg/m³" if field.mass is None else ""
    return f"the object weighs {field.weight.mass:.2g} kg{at}; "


def _sizes(field: ConditionedField) -> str:
    """How wide the object is, and how far the gripper opens."""
    # The axes, too: what was drawn along them is narrowest there.
    along = np.concatenate([np.eye(3), directions(_DIRECTIONS)])
    extents = np.ptp(field.points @ along.T, axis=0)
    return (
        f"the object measures {1000 * extents.min():.0f} mm where it is narrowest, and "
        f"{field.gripper.name} opens {1000 * field.gripper.stroke:.0f} mm"
    )

"""From samples of a field to grasps: which are given, in which order, or why there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.collision import closing_width, in_collision
from grasp.costs import Constraint
from grasp.formats import Grasps
from grasp.metrics import spread, thin
from grasp.normals import directions

if TYPE_CHECKING:
    from grasp.conditioned import ConditionedField, Sampling
    from grasp.scene import Scene

_DIRECTIONS = 400  # along which an object is measured


@torch.no_grad()
def select(
    field: ConditionedField,
    samples: Float[Tensor, "samples 4 4"],
    count: int,
    how: Sampling,
    constraint: Constraint | None = None,
    scene: Scene | None = None,
    possible: bool = True,
) -> Grasps:
    """The grasps among samples; see `ConditionedField.sample`.

    Args:
        field: that they are of.
        samples: `T_object_grasp`, metres.
        count: how many grasps at most.
        how: says which are likely enough, and how far they must be apart.
        constraint: that grasps must meet.
        scene: what stands around the object.
        possible: whether the gripper spans any part of the object.
    """
    probability = field.success_probability(samples).double().numpy()
    meets = np.ones(len(samples), bool)
    if constraint is not None:
        meets = constraint.holds(samples).numpy()
    poses = samples.double().numpy()
    hits_object = in_collision(poses, field.gripper, field.points)
    hits_scene = np.zeros(len(poses), bool)
    if scene is not None:
        hits_scene = scene.in_collision(poses, field.gripper)
    at_tool = poses.copy()  # where grasps are near each other: the hand's base is far from there
    at_tool[:, :3, 3] += poses[:, :3, :3] @ field.gripper.tool_center_point
    given = meets & (probability >= how.least_probability)
    enough = int(given.sum())
    if not possible or not (given & ~hits_object).any():
        given[:] = False  # whatever the network thinks of them
    collides = hits_object | hits_scene
    order = np.lexsort([-probability, collides])
    order = order[given[order]]
    if how.apart is not None:
        order = order[thin(at_tool[order], *how.apart)]
    # Of more likely ones than are asked for, not the likeliest, which are much alike.
    likely = order[(probability >= how.likely)[order] & ~collides[order]]
    if len(likely) > count:
        order = likely[np.sort(spread(at_tool[likely], count))]
    order = order[:count]
    reason = None
    if len(order) < count:
        reason = _reason(
            field, probability, meets, hits_object, enough, len(order) > 0, how.least_probability,
            possible,
        )  # fmt: skip
    chosen = samples[torch.from_numpy(order)]
    energy = field.cost(chosen).double().numpy() if len(chosen) else np.zeros(0)
    return Grasps(
        poses=poses[order],
        gripper=field.gripper.name,
        object_file=field.obj.file,
        object_scale=field.obj.scale,
        object_sha256=field.obj.sha256,
        energy=energy,
        success_probability=probability[order],
        width=closing_width(poses[order], field.gripper, field.points),
        in_collision=collides[order],
        tool_center_point=field.gripper.tool_center_point,
        reason=reason,
    )


def _reason(
    field: ConditionedField,
    probability: np.ndarray,
    meets: np.ndarray,
    hits_object: np.ndarray,
    enough: int,
    some: bool,
    least_probability: float,
    possible: bool,
) -> str:
    """Why there are fewer grasps than asked for."""
    samples = len(probability)
    if not meets.any():
        return f"none of {samples} samples meets the constraint that guided them"
    if some:
        return (
            f"{enough} of {samples} samples have a probability of success of at least "
            f"{least_probability:g}; draw more samples for more grasps"
        )
    # The axes, too: what was drawn along them is narrowest there.
    along = np.concatenate([np.eye(3), directions(_DIRECTIONS)])
    extents = np.ptp(field.points @ along.T, axis=0)
    narrowest = 1000 * extents.min()
    size = (
        f"the object measures {narrowest:.0f} mm where it is narrowest, and {field.gripper.name} "
        f"opens {1000 * field.gripper.stroke:.0f} mm"
    )
    if not possible:
        return f"no two opposite places of the surface are within the stroke: {size}"
    free = int((meets & ~hits_object).sum())
    return (
        f"no grasp is likely to hold: of {samples} samples {enough} have a probability of success "
        f"of at least {least_probability:g} (the best {probability[meets].max():.2f}) and {free} "
        f"keep the open hand free of the object, but none both; {size}"
    )

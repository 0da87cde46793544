"""Compute the load that the weight of an object puts on the pads that hold it.

Two opposite pads resist a turn about the closing axis by torsional friction alone: as soft-finger
contacts they bear a torque of at most 2·μ·F·r (Murray, Li & Sastry, "A Mathematical Introduction to
Robotic Manipulation", 1994, section 5.2), with the coefficient of friction μ, the force F of each
pad and the radius r of its contact patch. The load ρ is the torque m·g·d of the weight divided by
this largest torque, where d is the distance of the centre of mass from the closing axis.

The constants are those of the physics that labelled the success network's training grasps; a test
compares them with `grasp.physics.PROTOCOL`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.objects.solids import solid

DENSITY = 150.0
"""Density of an object whose mass is not known, in kg/m³."""

GRAVITY = 9.81
"""Acceleration of gravity in m/s²."""

FRICTION = 1.0
"""Coefficient of friction μ between object and pads."""

FORCE = 40.0
"""Force of each pad in newtons, or the gripper's largest force if that is smaller."""

PATCH_RADIUS = 0.01
"""Radius r of a contact patch in metres."""


class Weight(NamedTuple):
    """The weight of an object.

    Attributes:
        mass: Mass in kilograms.
        centre: Centre of mass in the frame of the object's file, in metres.
    """

    mass: float
    centre: Float[np.ndarray, "3"]


def weight_of(obj: Object, density: float = DENSITY) -> Weight | None:
    """Compute the weight of an object of uniform density; None if its volume is not known.

    The volume of a cloud is unknown, and so is that of an open mesh without exact convex parts.

    Args:
        obj: The object.
        density: Density in kg/m³.
    """
    found = solid(obj, obj.parts or ()) if obj.is_mesh else None
    if found is None:
        return None
    volume, centre, _ = found
    return Weight(density * volume, centre)


def squared_load(
    poses: Float[Tensor, "*batch 4 4"], gripper: Gripper, weight: Weight
) -> Float[Tensor, "*batch"]:
    """Compute the squared load ρ² of grasps in the worst case, a horizontal closing axis.

    Unlike ρ, its square is smooth.

    Args:
        poses: Poses `T_object_grasp`, translations in metres.
        gripper: The gripper.
        weight: Weight of the object.
    """
    arm = poses.new_tensor(weight.centre) - gripper.tool_points(poses)
    distance = torch.linalg.cross(arm, poses[..., :3, 0])
    force = min(FORCE, gripper.max_force)
    borne = 2 * FRICTION * force * PATCH_RADIUS
    return (distance * (weight.mass * GRAVITY / borne)).square().sum(-1)

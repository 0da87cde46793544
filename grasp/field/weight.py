"""How hard the weight of an object pulls at the pads that hold it.

What two opposite pads hold can turn about the closing axis, against their torsional friction
alone: as soft-finger contacts they bear a torque of at most 2·μ·F·r (Murray, Li & Sastry, "A
Mathematical Introduction to Robotic Manipulation", 1994, section 5.2), with the coefficient of
friction μ, the force F of each and the radius r of its patch. The load ρ is the torque m·g·d of the
weight over that, with the distance d of the centre of mass from the closing axis. Density, friction
and force are those of `grasp.physics.PROTOCOL`.
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
from grasp.physics.protocol import PROTOCOL


class Weight(NamedTuple):
    """What is heavy, and where.

    Attributes:
        mass: kg.
        centre: of mass, metres, in the frame of the object's file.
    """

    mass: float
    centre: Float[np.ndarray, "3"]


def weight_of(obj: Object, density: float = PROTOCOL.density) -> Weight | None:
    """The weight of an object of one density; None if its volume is not known.

    It is not of a cloud, nor of a mesh that is open and has no exact parts.

    Args:
        obj: the object.
        density: kg/m³.
    """
    found = solid(obj, obj.parts or ()) if obj.is_mesh else None
    if found is None:
        return None
    volume, centre, _ = found
    return Weight(density * volume, centre)


def squared_load(
    poses: Float[Tensor, "*batch 4 4"], gripper: Gripper, weight: Weight
) -> Float[Tensor, "*batch"]:
    """ρ² of grasps whose closing axis may lie level; smooth, where ρ is not.

    Args:
        poses: `T_object_grasp`, metres.
        gripper: the hand.
        weight: of the object.
    """
    at = poses.new_tensor(gripper.tool_center_point)
    tool = poses[..., :3, 3] + poses[..., :3, :3] @ at
    arm = poses.new_tensor(weight.centre) - tool
    distance = torch.linalg.cross(arm, poses[..., :3, 0])
    force = min(PROTOCOL.force, gripper.max_force)
    borne = 2 * PROTOCOL.friction * force * PROTOCOL.torsional_friction
    return (distance * (weight.mass * PROTOCOL.gravity / borne)).square().sum(-1)

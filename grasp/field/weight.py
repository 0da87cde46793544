"""The load of a grasp: the torque of the object's weight, relative to the friction of the pads.

Two opposite pads resist a turn around the closing axis only by torsional friction. With the model
of soft-finger contacts, the two pads withstand a torque of at most 2·μ·F·r (Murray, Li & Sastry, "A
Mathematical Introduction to Robotic Manipulation", 1994, section 5.2). μ is the coefficient of
friction, F is the force of each pad, and r is the radius of the contact patch. The load ρ is the
torque m·g·d of the weight divided by the largest torque 2·μ·F·r. m is the mass, g is the
acceleration of gravity, and d is the distance of the centre of mass from the closing axis.

The numbers equal those of the physics simulation that labelled the training grasps. A test compares
them with `grasp.physics.PROTOCOLS`, which the field may not import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.objects.solids import solid

GRAVITY = 9.81
"""Acceleration of gravity in m/s²."""


@dataclass(frozen=True)
class Pads:
    """Numbers of a physics protocol that decide which weight the pads of a gripper can bear.

    Attributes:
        density: Density of an object with unknown mass, in kg/m³.
        friction: Coefficient of friction μ between object and pads.
        force: Largest force F of each pad in newtons. A weaker gripper presses with its own largest
            force; None means that every gripper does.
        patch_radius: Radius r of a contact patch in metres.
    """

    density: float
    friction: float
    force: float | None
    patch_radius: float


PADS = {"2": Pads(150.0, 1.0, 40.0, 0.01), "3": Pads(300.0, 0.45, None, 0.015)}
"""The numbers of each protocol."""

NEWEST = "3"
"""The protocol whose numbers are used if the protocol of the labels is unknown."""


def pads_of(protocol: str) -> Pads:
    """Return the numbers of a protocol, or of the newest protocol if it is unknown.

    Args:
        protocol: Version of the protocol of the labels.
    """
    return PADS.get(protocol, PADS[NEWEST])


class Weight(NamedTuple):
    """The weight of an object.

    Attributes:
        mass: Mass in kilograms.
        centre: Centre of mass in the frame of the object's file, in metres.
    """

    mass: float
    centre: Float[np.ndarray, "3"]


def weight_of(obj: Object, density: float) -> Weight | None:
    """Compute the weight of an object with uniform density.

    Args:
        obj: A mesh or a cloud.
        density: Density in kg/m³.

    Returns:
        The weight; None for a cloud and for an open mesh without exact convex parts, because the
        volume is unknown.
    """
    found = solid(obj, obj.parts or ()) if obj.is_mesh else None
    if found is None:
        return None
    volume, centre, _ = found
    return Weight(density * volume, centre)


def squared_load(
    poses: Float[Tensor, "*batch 4 4"], gripper: Gripper, weight: Weight, pads: Pads
) -> Float[Tensor, "*batch"]:
    """Compute the squared load ρ² of each grasp for a horizontal closing axis, the worst case.

    The square is smooth at ρ = 0, but ρ is not.

    Args:
        poses: Poses `T_object_grasp`, translations in metres.
        gripper: Gripper of the grasps.
        weight: Weight of the object.
        pads: What the pads can bear.
    """
    arm = poses.new_tensor(weight.centre) - gripper.tool_points(poses)
    distance = torch.linalg.cross(arm, poses[..., :3, 0])
    force = gripper.max_force if pads.force is None else min(pads.force, gripper.max_force)
    borne = 2 * pads.friction * force * pads.patch_radius
    return (distance * (weight.mass * GRAVITY / borne)).square().sum(-1)

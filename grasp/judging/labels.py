"""Draw antipodal candidates, and label each candidate with its outcome in physics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.candidates import candidates as antipodal_candidates
from grasp.judging.streams import Stream, object_generator
from grasp.objects.object import Object


@runtime_checkable
class Outcomes(Protocol):
    """Outcomes of grasps in physics, such as `grasp.physics.Trials`."""

    @property
    def success(self) -> Bool[np.ndarray, " grasps"]:
        """True for each successful grasp."""

    @property
    def failure(self) -> Shaped[np.ndarray, " grasps"]:
        """Short code for the cause of each failure; "" for a successful grasp."""

    @property
    def width(self) -> Float[np.ndarray, " grasps"]:
        """Opening of the gripper in metres at the end of each trial."""

    @property
    def protocol(self) -> str:
        """Version of the physics protocol."""

    @property
    def mass(self) -> float:
        """Mass of the object in kilograms."""

    @property
    def friction(self) -> float | None:
        """Coefficient of friction between object and pads; None if each grasp had its own."""

    @property
    def warning(self) -> str | None:
        """A sentence about convex parts that do not follow the object's mesh; None if they do."""


Simulator = Callable[[Object, Gripper, np.ndarray], Outcomes]
"""A function that tries grasps of an object in physics and returns their outcomes.

The function takes the object, the gripper and poses `T_object_grasp`, (n, 4, 4), in metres.
"""


def label_candidates(
    obj: Object, gripper: Gripper, simulator: Simulator, *, count: int, seed: int
) -> Grasps:
    """Draw an object's antipodal candidates and label them by physics.

    The random draws depend only on the seed and on the object's geometry.

    Args:
        obj: The object.
        gripper: The gripper.
        simulator: Physics that tries the candidates.
        count: Number of candidates.
        seed: Seed of the candidates, at least 0.
    """
    rng = object_generator(seed, Stream.CANDIDATES, obj)
    poses = antipodal_candidates(obj, gripper, count, rng).poses
    found = Grasps(
        poses=poses,
        gripper=gripper.name,
        object_file=obj.file,
        object_scale=obj.scale,
        object_sha256=obj.sha256,
        success=np.zeros(len(poses), bool),
        tool_center_point=gripper.tool_center_point,
        reason=None if len(poses) else "no two opposite contacts within the gripper's stroke",
    )
    return with_outcomes(found, simulator(obj, gripper, poses)) if len(poses) else found


def with_outcomes(grasps: Grasps, trials: Outcomes) -> Grasps:
    """Add the outcomes of trials in physics to grasps.

    Args:
        grasps: Grasps to label.
        trials: Outcomes of these grasps, in the same order.
    """
    return dataclasses.replace(
        grasps,
        success=trials.success,
        failure=trials.failure,
        width=trials.width,
        protocol=trials.protocol,
        mass=trials.mass,
        friction=trials.friction,
    )

"""Labelled candidates: antipodal ones with what physics says of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.candidates import candidates as antipodal_candidates
from grasp.objects.object import Object


@runtime_checkable
class Outcomes(Protocol):
    """What physics says of grasps, as `grasp.physics.Trials` does."""

    @property
    def success(self) -> Bool[np.ndarray, " grasps"]:
        """Whether each held."""

    @property
    def failure(self) -> Shaped[np.ndarray, " grasps"]:
        """Why each did not hold, a short code; "" where it did."""

    @property
    def width(self) -> Float[np.ndarray, " grasps"]:
        """The opening in the end, metres."""

    @property
    def protocol(self) -> str:
        """The version of the protocol."""

    @property
    def mass(self) -> float:
        """Of the object, kilograms."""

    @property
    def friction(self) -> float:
        """The coefficient between object and pads."""


Simulator = Callable[[Object, Gripper, np.ndarray], Outcomes]
"""Puts poses (n, 4, 4) through physics."""


# Second words of the seeds, so that no two draws share a stream.
_CANDIDATES, SOURCE, MATCHING, BOOTSTRAP = range(1, 5)


def label_candidates(
    obj: Object, gripper: Gripper, simulator: Simulator, *, count: int, seed: int
) -> Grasps:
    """An object's antipodal candidates with what physics says of each.

    Args:
        obj: the object.
        gripper: the gripper.
        simulator: the physics.
        count: how many candidates.
        seed: they depend on it and on the object's geometry.
    """
    poses = antipodal_candidates(obj, gripper, count, generator(seed, _CANDIDATES, obj)).poses
    found = Grasps(
        poses=poses,
        gripper=gripper.name,
        object_file=obj.file,
        object_scale=obj.scale,
        object_sha256=obj.sha256,
        success=np.zeros(len(poses), bool),
        tool_center_point=gripper.tool_center_point,
        reason=None if len(poses) else "no two opposite contacts within the stroke",
    )
    return with_outcomes(found, simulator(obj, gripper, poses)) if len(poses) else found


def with_outcomes(grasps: Grasps, trials: Outcomes) -> Grasps:
    """Grasps with what physics says of each.

    Args:
        grasps: the grasps.
        trials: what physics says of them, in the same order.
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


def generator(seed: int, stream: int, obj: Object) -> np.random.Generator:
    """A generator for one purpose, an object and a seed.

    Args:
        seed: 0 or more.
        stream: the purpose.
        obj: its geometry counts, its name does not.
    """
    return np.random.default_rng([seed, stream, int(obj.sha256, 16)])

"""Robust success: trials of every grasp under several draws of what nobody knows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.body import Body
from grasp.physics.conditions import Conditions
from grasp.physics.protocol import PROTOCOL, Protocol
from grasp.physics.simulator import Trials, body_of, check_grasps
from grasp.physics.uncertainty import Draw, Uncertainty, load_uncertainty
from grasp.physics.workers import results_in_order
from pcdiff.errors import InputError

ROBUST = 0.5
"""Smallest robust success of a grasp that counts as a robust grasp."""

_CHUNK = 12
"""Grasps per task of a worker process. Each task builds one world for all its trials."""


@dataclass(frozen=True, eq=False)
class RobustTrials:
    """Outcomes of trials under several draws, in the order of the grasps and of the draws.

    Args:
        failure: Cause of failure of each trial, or "" for success; see
            `grasp.physics.procedure.Outcome`.
        uncertainty: Version of the distribution of the draws.
        protocol: Version of the protocol.
        mass: Mass of the object in kilograms, before the factor of a draw.
    """

    failure: Shaped[np.ndarray, "grasps draws"]
    uncertainty: str
    protocol: str
    mass: float

    @property
    def success(self) -> Float[np.ndarray, " grasps"]:
        """Robust success of each grasp: the share of the draws in which the grasp succeeds."""
        return (self.failure == "").mean(axis=1)

    @property
    def robust(self) -> Bool[np.ndarray, " grasps"]:
        """True for each grasp whose robust success is at least `ROBUST`."""
        return self.success >= ROBUST


def simulate_robust(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    conditions: Conditions | None = None,
    *,
    uncertainty: Uncertainty | None = None,
    protocol: Protocol = PROTOCOL,
    pool: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> RobustTrials:
    """Try each grasp under all draws of an uncertainty.

    The outcomes depend only on the object, the gripper, the poses, the conditions, the draws and
    the protocol, not on the processes or on the other grasps.

    Args:
        obj: Object to grasp, a mesh.
        gripper: Gripper that closes on the object.
        poses: Grasp poses `T_object_grasp`, translations in metres.
        conditions: Mass or density of the object. The friction is drawn, so it must be None.
        uncertainty: Distribution of the unknown factors. None means that of this package.
        protocol: Protocol of the trials; the factors of a draw multiply its settings.
        pool: Processes for the trials; see `grasp.physics.processes`. None means this process.
        progress: Function that is called with the number of grasps that were tried since its last
            call.

    Raises:
        InputError: If a friction is given, or in the cases listed for `grasp.physics.simulate`.
    """
    chosen, body = _checked(obj, poses, conditions or Conditions(), uncertainty, protocol)
    draws = chosen.draws()
    work = functools.partial(_trials, body, gripper, draws, protocol)
    chunks = [poses[start : start + _CHUNK] for start in range(0, len(poses), _CHUNK)]
    failure: list[list[str]] = []
    for done in results_in_order(work, chunks, pool):
        failure += done
        if progress is not None:
            progress(len(done))
    array = np.array(failure, dtype=np.str_).reshape(len(poses), len(draws))
    return RobustTrials(array, chosen.version, protocol.version, body.mass)


def simulate_drawn(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    seed: int,
    conditions: Conditions | None = None,
    *,
    uncertainty: Uncertainty | None = None,
    protocol: Protocol = PROTOCOL,
) -> Trials:
    """Try each grasp once, each under its own draw of an uncertainty.

    So the probability that a grasp succeeds is its robust success. Labels of this kind train a
    network to predict the robust success by cross entropy.

    Args:
        obj: Object to grasp, a mesh.
        gripper: Gripper that closes on the object.
        poses: Grasp poses `T_object_grasp`, translations in metres.
        seed: Seed of the draws, at least 0. Evaluations use the seed of the uncertainty instead.
        conditions: Mass or density of the object. The friction is drawn, so it must be None.
        uncertainty: Distribution of the unknown factors. None means that of this package.
        protocol: Protocol of the trials; the factors of a draw multiply its settings.

    Returns:
        The outcomes, without a friction because each grasp has its own.

    Raises:
        InputError: In the cases listed for `simulate_robust`.
    """
    chosen, body = _checked(obj, poses, conditions or Conditions(), uncertainty, protocol)
    from grasp.physics.trial import World

    world = World(body, gripper, protocol.friction, protocol)
    outcomes = []
    draws = dataclasses.replace(chosen, count=max(1, len(poses)), seed=seed).draws()
    for pose, draw in zip(poses, draws, strict=False):
        world.apply(draw)
        outcomes.append(world.trial(pose))
    failure = np.array([each.failure for each in outcomes], dtype=np.str_)
    width = np.array([each.width for each in outcomes], dtype=np.float64)
    return Trials(failure == "", failure, width, protocol.version, body.mass, None, body.warning)


def _checked(
    obj: Object,
    poses: Float[np.ndarray, "grasps 4 4"],
    given: Conditions,
    uncertainty: Uncertainty | None,
    protocol: Protocol,
) -> tuple[Uncertainty, Body]:
    """Return the uncertainty and the rigid body of trials, or refuse the trials."""
    check_grasps(obj, poses)
    if given.friction is not None:
        raise InputError(
            f"robust success draws the friction, so it takes none, got {given.friction}"
        )
    return uncertainty or load_uncertainty(), body_of(obj, given, protocol)


def _trials(
    body: Body,
    gripper: Gripper,
    draws: list[Draw],
    protocol: Protocol,
    poses: Float[np.ndarray, "grasps 4 4"],
) -> list[list[str]]:
    from grasp.physics.trial import World

    world = World(body, gripper, protocol.friction, protocol)
    failure: list[list[str]] = [[] for _ in poses]
    for draw in draws:
        world.apply(draw)
        for causes, pose in zip(failure, poses, strict=True):
            causes.append(world.trial(pose).failure)
    return failure

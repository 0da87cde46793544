"""Physics for many grasps of one object: which hold, and why the others do not."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp.gripper import Gripper
from grasp.objects import Object
from grasp.simulation.body import Body, rigid_body
from grasp.simulation.decomposition import convex_parts
from grasp.simulation.protocol import PROTOCOL, Protocol
from grasp.simulation.trial import Outcome, World
from pcdiff.errors import InputError

_CHUNK = 50
"""Trials that a process is given at once: many enough to be worth building a world for."""


@dataclass(frozen=True, eq=False)
class Trials:
    """What physics says of grasps, in their order.

    Args:
        success: (grasps,), whether each holds.
        failure: (grasps,), "" for one that holds, else `collision`, `missed`, `dropped` or
            `unstable`; see `grasp.simulation.trial.Outcome`.
        width: (grasps,), the opening between the pads in the end, metres; a millimetre or two less
            than the thickness of a very light object, into which the pads sink.
        protocol: The version of the protocol.
        mass: Of the object in the trials, kg.
        friction: Coefficient in the trials.
    """

    success: Bool[np.ndarray, " grasps"]
    failure: Shaped[np.ndarray, " grasps"]
    width: Float[np.ndarray, " grasps"]
    protocol: str
    mass: float
    friction: float


def simulate(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    *,
    mass: float | None = None,
    density: float | None = None,
    friction: float | None = None,
    protocol: Protocol = PROTOCOL,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Trials:
    """Put grasps through physics, each in a world of its own.

    Nothing is random: the outcome of a grasp depends on the arguments alone, not on the number of
    workers or on the other grasps.

    Args:
        obj: A mesh.
        gripper: The hand.
        poses: (grasps, 4, 4), `T_object_grasp`.
        mass: kg; None for the volume x `density`.
        density: kg/m³; None for the protocol's.
        friction: Coefficient between object and hand; None for the protocol's.
        protocol: What happens in a trial.
        workers: Processes. With more than one, a script that calls this needs the usual guard
            `if __name__ == "__main__":`, for the processes are spawned.
        progress: Called with the number of trials that have been done since the last call.
        cache: The folder of convex parts; see `convex_parts`.

    Raises:
        InputError: The object is a point cloud or has no volume; a pose is not rigid; a number is
            not positive; MuJoCo refuses the parts.
    """
    _check_poses(poses)
    if workers < 1:
        raise InputError(f"physics needs at least 1 worker, got {workers}")
    friction = protocol.friction if friction is None else friction
    if not 0 < friction < np.inf:
        raise InputError(f"the friction must be a number above 0, got {friction}")
    density = protocol.density if density is None else density
    body = rigid_body(obj, convex_parts(obj, cache), mass, density)
    outcomes: list[Outcome] = []
    for done in _run(body, gripper, friction, protocol, poses, workers):
        outcomes += done
        if progress is not None:
            progress(len(done))
    failure = np.array([outcome.failure for outcome in outcomes], dtype="U9")
    width = np.array([outcome.width for outcome in outcomes], dtype=np.float64)
    return Trials(failure == "", failure, width, protocol.version, body.mass, friction)


def in_collision(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    width: float | None = None,
    *,
    protocol: Protocol = PROTOCOL,
    cache: str | os.PathLike[str] | None = None,
) -> Bool[np.ndarray, " grasps"]:
    """Whether the hand overlaps the object's convex parts by more than the protocol tolerates.

    Args:
        obj: A mesh.
        gripper: The hand.
        poses: (grasps, 4, 4), `T_object_grasp`.
        width: Of the opening, metres; None for the widest.
        protocol: It says what is tolerated.
        cache: The folder of convex parts; see `convex_parts`.

    Raises:
        InputError: As `simulate`; the gripper does not open that wide.
    """
    _check_poses(poses)
    width = gripper.stroke if width is None else width
    gripper.check_width(width)
    body = rigid_body(obj, convex_parts(obj, cache), None, protocol.density)
    world = World(body, gripper, protocol.friction, protocol)
    return np.array([world.collides(pose, width) for pose in poses], dtype=bool)


def _run(
    body: Body,
    gripper: Gripper,
    friction: float,
    protocol: Protocol,
    poses: Float[np.ndarray, "grasps 4 4"],
    workers: int,
) -> Iterator[list[Outcome]]:
    """Outcomes in the order of the poses, some at a time."""
    chunks = [poses[start : start + _CHUNK] for start in range(0, len(poses), _CHUNK)]
    workers = min(workers, len(chunks))
    if workers <= 1:
        world = World(body, gripper, friction, protocol)
        for chunk in chunks:
            yield [world.trial(pose) for pose in chunk]
        return
    # Spawned: a fork would copy the threads' locks of whatever else the caller has imported.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs = [pool.submit(_trials, body, gripper, friction, protocol, each) for each in chunks]
        try:
            for job in jobs:
                yield job.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _trials(
    body: Body,
    gripper: Gripper,
    friction: float,
    protocol: Protocol,
    poses: Float[np.ndarray, "grasps 4 4"],
) -> list[Outcome]:
    world = World(body, gripper, friction, protocol)
    return [world.trial(pose) for pose in poses]


def _check_poses(poses: Float[np.ndarray, "grasps 4 4"]) -> None:
    """Raise unless each is a rotation and a translation, to the precision of float32 files."""
    finite = np.isfinite(poses).all(axis=(1, 2))
    poses = np.where(finite[:, None, None], poses, 0.0)
    rotations = poses[:, :3, :3]
    squares = rotations @ np.swapaxes(rotations, 1, 2)
    rigid = (
        finite
        & (np.abs(squares - np.eye(3)).max(axis=(1, 2), initial=0) < 1e-3)
        & (np.linalg.det(rotations) > 0)
        & (np.abs(poses[:, 3] - [0, 0, 0, 1]).max(axis=1, initial=0) < 1e-6)
    )
    if not rigid.all():
        raise InputError(
            f"grasp {int(np.flatnonzero(~rigid)[0])} is not a rigid pose: expected a rotation and "
            "a translation in metres"
        )

"""Physics for many grasps of one object: which hold, and why the others do not."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import resource_tracker

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.body import Body, rigid_body
from grasp.physics.decomposition import convex_parts
from grasp.physics.protocol import PROTOCOL, Protocol
from grasp.physics.trial import Outcome, World
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError

_CHUNK = 50
"""Trials that a process is given at once: many enough to be worth building a world for."""

_PROCESSES_A_CORE = 4
"""At most, beyond which more only cost memory."""

# Beyond these MuJoCo's numbers overflow; no object that a hand holds is near them.
_HEAVIEST = 1e4  # kg
_DENSEST = 1e5  # kg/m³
_ROUGHEST = 100.0  # coefficient of friction
_FARTHEST = 100.0  # m, of the hand from the object


@dataclass(frozen=True, eq=False)
class Trials:
    """What physics says of grasps, in their order.

    Args:
        success: (grasps,), whether each holds.
        failure: (grasps,), "" for one that holds, else `collision`, `missed`, `dropped` or
            `unstable`; see `grasp.physics.trial.Outcome`.
        width: (grasps,), the opening between the pads in the end, metres; up to a
            millimetre less than the thickness, for the pads sink into light objects.
        protocol: The version of the protocol.
        mass: Of the object, kg; the protocol may give a very light one more.
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
    pool: Executor | None = None,
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
        pool: Processes to use instead of `workers` new ones; see `processes`.
        progress: Called with the number of trials that have been done since the last call.
        cache: The folder of convex parts; see `convex_parts`.

    Raises:
        InputError: The object is a point cloud or has no volume; a pose is not rigid, or farther
            than 100 m from the object; a number is out of the range of `check_physics`; there is no
            worker, or there are more than 4 a CPU core; MuJoCo refuses the parts.
    """
    _check_poses(obj, poses)
    check_workers(workers)
    check_physics(mass=mass, density=density, friction=friction)
    friction = protocol.friction if friction is None else friction
    density = protocol.density if density is None else density
    body = rigid_body(obj, convex_parts(obj, cache), mass, density)
    check_physics(mass=body.mass)
    outcomes: list[Outcome] = []
    for done in _run(body, gripper, friction, protocol, poses, workers, pool):
        outcomes += done
        if progress is not None:
            progress(len(done))
    failure = np.array([outcome.failure for outcome in outcomes], dtype=np.str_)
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
    _check_poses(obj, poses)
    width = gripper.stroke if width is None else width
    gripper.check_width(width)
    body = rigid_body(obj, convex_parts(obj, cache), None, protocol.density)
    world = World(body, gripper, protocol.friction, protocol)
    return np.array([world.collides(pose, width) for pose in poses], dtype=bool)


@contextlib.contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Processes for several calls of `simulate`, which otherwise starts and ends some in each.

    Args:
        workers: How many; with 1 there is no pool and `simulate` works in the caller's process.

    Raises:
        InputError: There is no worker, or there are more than 4 a CPU core.
    """
    check_workers(workers)
    if workers == 1:
        yield None
        return
    # Spawned: a fork would copy the threads' locks of whatever else the caller has imported.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_hear_interrupts) as pool:
        yield pool


def cores() -> int:
    """How many CPU cores this process may use, where the system tells; else how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_workers(workers: int) -> None:
    """Refuse a number of processes that no machine with so many cores has a use for.

    Raises:
        InputError: There is no worker, or there are more than 4 a CPU core.
    """
    most = _PROCESSES_A_CORE * cores()
    if workers < 1:
        raise InputError(f"physics needs at least 1 worker, got {workers}")
    if workers > most:
        raise InputError(
            f"expected at most {most} workers, {_PROCESSES_A_CORE} for each CPU core, got {workers}"
        )


def check_physics(
    *, mass: float | None = None, density: float | None = None, friction: float | None = None
) -> None:
    """Refuse what an object cannot be or MuJoCo cannot compute; None is anything that is left out.

    Args:
        mass: kg, above 0 and at most 10 000.
        density: kg/m³, above 0 and at most 100 000.
        friction: Coefficient, above 0 and at most 100.

    Raises:
        InputError: A number is out of its range.
    """
    for name, value, most, unit in (
        ("mass", mass, _HEAVIEST, " kg"),
        ("density", density, _DENSEST, " kg/m³"),
        ("friction", friction, _ROUGHEST, ""),
    ):
        if value is None:
            continue
        if not 0 < value < np.inf:
            raise InputError(f"the {name} must be a number above 0, got {value}")
        if value > most:
            raise InputError(f"the {name} must be at most {most:g}{unit}, got {value:g}")


def _check_poses(obj: Object, poses: np.ndarray) -> None:
    check_poses("grasp", poses)
    # By each coordinate: the square of a huge one would overflow.
    apart = np.abs(poses[:, :3, 3] - obj.centre).max(axis=1)
    near = apart <= _FARTHEST
    if not near.all():
        first = int(near.argmin())
        raise InputError(
            f"grasp {first} is {apart[first]:.3g} m from the object, expected at most "
            f"{_FARTHEST:g} m: are the poses in metres?"
        )


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """A process started in this context is deaf to Ctrl-C, which reaches all of a terminal.

    The one that has to act on it is ours, and what is starting would only print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Python's resource tracker, when it is first started, would lift the mask.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Another thread may take the signal, and Python would then interrupt the main one all the same,
    # between starting a process and telling it what to do.
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    if main:
        before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if came:
            signal.raise_signal(signal.SIGINT)


def _hear_interrupts() -> None:
    """Forget a Ctrl-C that came while this process started deaf to it, and hear the next one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(
    body: Body,
    gripper: Gripper,
    friction: float,
    protocol: Protocol,
    poses: Float[np.ndarray, "grasps 4 4"],
    workers: int,
    pool: Executor | None,
) -> Iterator[list[Outcome]]:
    """Outcomes in the order of the poses, some at a time."""
    chunks = [poses[start : start + _CHUNK] for start in range(0, len(poses), _CHUNK)]
    if len(chunks) <= 1 or (workers == 1 and pool is None):
        world = World(body, gripper, friction, protocol)
        for chunk in chunks:
            yield [world.trial(pose) for pose in chunk]
        return
    own = processes(min(workers, len(chunks))) if pool is None else contextlib.nullcontext(pool)
    with own as executor:
        assert executor is not None
        with no_interrupt():  # the first jobs start the processes
            jobs = [
                executor.submit(_trials, body, gripper, friction, protocol, each) for each in chunks
            ]
        try:
            for job in jobs:
                yield job.result()
        finally:
            for job in jobs:
                job.cancel()


def _trials(
    body: Body,
    gripper: Gripper,
    friction: float,
    protocol: Protocol,
    poses: Float[np.ndarray, "grasps 4 4"],
) -> list[Outcome]:
    world = World(body, gripper, friction, protocol)
    return [world.trial(pose) for pose in poses]

"""Trials of many grasps of one object: which grasps succeed, and why the others fail."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.body import Body, rigid_body
from grasp.physics.conditions import Conditions
from grasp.physics.decomposition import convex_parts, convex_shape
from grasp.physics.protocol import PROTOCOL, Protocol
from grasp.physics.workers import check_workers, processes, results_in_order
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.physics.procedure import Outcome

# `grasp.physics.trial` imports MuJoCo. So this module imports it only where trials start, and code
# that needs only the protocol does not load MuJoCo.

_CHUNK = 100
"""Trials per task of a worker process. Each task also builds a world, so small tasks are slow."""

_LARGEST_DISTANCE = 100.0
"""Largest distance of the gripper from the object in metres; MuJoCo overflows far beyond it."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Outcomes of trials in the order of the grasps.

    Args:
        success: True for each grasp that holds the object until the end of its trial.
        failure: Cause of failure of each grasp: `collision`, `missed`, `dropped` or `unstable` (see
            `grasp.physics.procedure.Outcome`), or "" for a successful grasp.
        width: Opening between the pads at the end of each trial in metres. It is less than the
            object's thickness, because the pads sink into light objects: under protocol 3 by
            1.2 mm each at 10 g and by 0.06 mm each at 200 g.
        protocol: Version of the protocol.
        mass: Mass of the object in kilograms. The trials of an object below the protocol's
            `least_mass` use `least_mass` instead.
        friction: Coefficient of friction between object and gripper; None if each grasp had its
            own.
        warning: A sentence about convex parts that do not follow the object's mesh, so that
            outcomes near them may be wrong; None if they do.
    """

    success: Bool[np.ndarray, " grasps"]
    failure: Shaped[np.ndarray, " grasps"]
    width: Float[np.ndarray, " grasps"]
    protocol: str
    mass: float
    friction: float | None
    warning: str | None = None


def simulate(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    conditions: Conditions | None = None,
    *,
    protocol: Protocol = PROTOCOL,
    workers: int = 1,
    pool: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trials:
    """Try grasps in physics, each independently of the others.

    Nothing is random. The outcome of a grasp depends only on the object, the gripper, the pose, the
    conditions and the protocol, not on the number of workers or on the other grasps.

    Args:
        obj: Object to grasp, a mesh; see `convex_parts` for the parts that the gripper touches.
        gripper: Gripper that closes on the object.
        poses: Grasp poses `T_object_grasp`, (grasps, 4, 4), translations in metres.
        conditions: Mass, density and friction of the object. None means the protocol's density and
            friction.
        protocol: Protocol of the trials.
        workers: Number of processes. With more than 1 process, the calling script needs the guard
            `if __name__ == "__main__":`, because the processes are spawned.
        pool: Existing processes for the trials; see `processes`. None means new processes.
        progress: Function that is called with the number of trials that ended since its last call.

    Raises:
        InputError: If the object is a point cloud or has no volume; a pose is not rigid or is more
            than 100 m from the object; the mass computed from the volume is too large; the number
            of workers is below 1 or above 4 per CPU core; or MuJoCo rejects the convex parts.
    """
    check_grasps(obj, poses)
    check_workers(workers)
    given = (conditions or Conditions()).under(protocol)
    assert given.friction is not None
    friction = given.friction
    body = body_of(obj, given, protocol)
    outcomes: list[Outcome] = []
    for done in _run(body, gripper, friction, protocol, poses, workers, pool):
        outcomes += done
        if progress is not None:
            progress(len(done))
    failure = np.array([outcome.failure for outcome in outcomes], dtype=np.str_)
    width = np.array([outcome.width for outcome in outcomes], dtype=np.float64)
    version, warning = protocol.version, body.warning
    return Trials(failure == "", failure, width, version, body.mass, friction, warning)


def in_collision(
    poses: Float[np.ndarray, "grasps 4 4"],
    gripper: Gripper,
    obj: Object,
    width: float | None = None,
    *,
    protocol: Protocol = PROTOCOL,
) -> Bool[np.ndarray, " grasps"]:
    """Test whether the gripper overlaps the object's convex parts by more than the tolerance.

    Args:
        poses: Grasp poses `T_object_grasp`, (grasps, 4, 4), translations in metres.
        gripper: Gripper at each pose.
        obj: Object to grasp, a mesh.
        width: Opening between the pads in metres. None means the largest opening.
        protocol: Protocol that sets the tolerance.

    Raises:
        InputError: If `simulate` would refuse the object or a pose, or the width is not between 0
            and the gripper's stroke.
    """
    from grasp.physics.trial import World

    check_grasps(obj, poses)
    width = gripper.stroke if width is None else width
    gripper.check_width(width)
    body = rigid_body(obj, convex_parts(obj), None, protocol.density)
    world = World(body, gripper, protocol.friction, protocol)
    return np.array([world.collides(pose, width) for pose in poses], dtype=bool)


def body_of(obj: Object, conditions: Conditions, protocol: Protocol) -> Body:
    """Return an object as the rigid body of its trials.

    Args:
        obj: Object to grasp, a mesh.
        conditions: Mass or density of the object.
        protocol: Protocol with the density to use if the conditions state neither.

    Raises:
        InputError: If the object is a point cloud, has no volume or is too heavy.
    """
    given = conditions.under(protocol)
    assert given.density is not None
    shape = convex_shape(obj)
    body = rigid_body(obj, shape.parts, given.mass, given.density)
    body = dataclasses.replace(body, warning=shape.warning)
    Conditions(mass=body.mass)  # raises if the object is too heavy
    return body


def check_grasps(obj: Object, poses: Float[np.ndarray, "grasps 4 4"]) -> None:
    """Refuse poses that are not rigid or not near the object.

    Args:
        obj: Object to grasp.
        poses: Grasp poses `T_object_grasp`, translations in metres.

    Raises:
        InputError: If a pose is not rigid or is more than 100 m from the object.
    """
    check_poses("grasp", poses)
    # The distance is the largest coordinate, because the square of a huge number would overflow.
    distance = np.abs(poses[:, :3, 3] - obj.centre).max(axis=1)
    near = distance <= _LARGEST_DISTANCE
    if not near.all():
        first = int(near.argmin())
        raise InputError(
            f"grasp {first} is {distance[first]:.3g} m from the object, expected at most "
            f"{_LARGEST_DISTANCE:g} m: are the poses in metres?"
        )


def _run(
    body: Body,
    gripper: Gripper,
    friction: float,
    protocol: Protocol,
    poses: Float[np.ndarray, "grasps 4 4"],
    workers: int,
    pool: Executor | None,
) -> Iterator[list[Outcome]]:
    """Yield the outcomes in the order of the grasps, one chunk at a time."""
    chunks = [poses[start : start + _CHUNK] for start in range(0, len(poses), _CHUNK)]
    if len(chunks) <= 1 or (workers == 1 and pool is None):
        from grasp.physics.trial import World

        world = World(body, gripper, friction, protocol)
        for chunk in chunks:
            yield [world.trial(pose) for pose in chunk]
        return
    work = functools.partial(_trials, body, gripper, friction, protocol)
    own = processes(min(workers, len(chunks))) if pool is None else contextlib.nullcontext(pool)
    with own as executor:
        assert executor is not None
        yield from results_in_order(work, chunks, executor)


def _trials(
    body: Body,
    gripper: Gripper,
    friction: float,
    protocol: Protocol,
    poses: Float[np.ndarray, "grasps 4 4"],
) -> list[Outcome]:
    from grasp.physics.trial import World

    world = World(body, gripper, friction, protocol)
    return [world.trial(pose) for pose in poses]

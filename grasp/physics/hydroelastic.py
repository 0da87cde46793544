"""Trials in Drake, a second physics engine that only checks the first.

Labels come from MuJoCo alone (`grasp.physics.simulate`). The trials of this module follow the same
protocol with another engine, another law of contact and another geometry: Drake's hydroelastic
contact (Elandt, Drumwright, Sherman, Ruina: "A pressure field model for fast, robust approximation
of net contact force and moment between nominally rigid objects", IROS 2019; Masterjohn et al.,
"Velocity level approximation of pressure field contact patches", RA-L 2022) integrates a pressure
over the patch in which a compliant box of the hand meets the rigid surface of the object. The
surface is the object's own mesh, not its convex parts, so a hollow object stays hollow. Only mass,
centre of mass and inertia are those of the first engine.

An import of this module does not import Drake. Only `simulate_hydroelastic` does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.body import Body
from grasp.physics.conditions import Conditions
from grasp.physics.hydroelastic_settings import HYDROELASTIC, Hydroelastic
from grasp.physics.overlap import overlaps
from grasp.physics.protocol import PROTOCOL, Protocol
from grasp.physics.simulator import Trials, body_of, check_grasps
from grasp.physics.workers import results_in_order
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.physics.procedure import Outcome

_CHUNK = 8
"""Trials per task of a worker process. A trial takes about half a second."""


def simulate_hydroelastic(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    conditions: Conditions | None = None,
    *,
    protocol: Protocol = PROTOCOL,
    contact: Hydroelastic = HYDROELASTIC,
    pool: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trials:
    """Try grasps in Drake, each independently of the others, to check `grasp.physics.simulate`.

    The motions, force, friction, closing speed and thresholds are those of the protocol. The
    settings of the protocol that describe MuJoCo's contacts have no effect: torsional friction,
    time constant, impedances and solver iterations. Three things differ. Friction does not creep.
    A finger touches the object only if they overlap; the `contact_gap` does not count. The test for
    collisions uses the triangles instead of the convex parts (`grasp.physics.overlap.overlaps`).

    A mesh need not be closed, because a rigid hydroelastic surface needs no volume. A face without
    a known outside (`Object.sided`) can be touched from both sides. A single sheet without
    thickness cannot be held, because the pads would meet each other before they press it. Mass,
    centre of mass and inertia of an open mesh are those of its convex parts, as in the first
    engine.

    Nothing is random, and outcomes do not depend on the processes or on the other grasps.

    Args:
        obj: Object to grasp, a mesh.
        gripper: Gripper that closes on the object.
        poses: Grasp poses `T_object_grasp`, (grasps, 4, 4), translations in metres.
        conditions: Mass, density and friction of the object. None means the protocol's density and
            friction.
        protocol: Protocol of the trials.
        contact: Settings of Drake's contact.
        pool: Processes for the trials; see `grasp.physics.processes`. None means this process.
        progress: Function that is called with the number of trials that ended since its last call.

    Returns:
        The outcomes. `protocol` names the protocol, Drake and the version of `contact`. `friction`
        is the coefficient before the factor of `contact`.

    Raises:
        InputError: If Drake is not installed, the object is a point cloud or has no volume, a pose
            is not rigid or is more than 100 m from the object, or the mass is too large.
    """
    _require_drake()
    check_grasps(obj, poses)
    given = conditions or Conditions()
    friction = protocol.friction if given.friction is None else given.friction
    body = body_of(obj, given, protocol)
    boxes = gripper.boxes(gripper.stroke)
    collides = overlaps(obj, boxes, poses, protocol.collision_tolerance)
    if progress is not None and collides.any():
        progress(int(collides.sum()))
    free = np.flatnonzero(~collides)
    work = functools.partial(_trials, obj, body, gripper, friction, protocol, contact)
    chunks = [poses[free[start : start + _CHUNK]] for start in range(0, len(free), _CHUNK)]
    outcomes: list[Outcome] = []
    for done in results_in_order(work, chunks, pool):
        outcomes += done
        if progress is not None:
            progress(len(done))
    failure = np.full(len(poses), "collision", dtype="<U16")
    width = np.full(len(poses), gripper.stroke)
    failure[free] = [outcome.failure for outcome in outcomes]
    width[free] = [outcome.width for outcome in outcomes]
    engine = f"{protocol.version} in Drake, hydroelastic settings {contact.version}"
    return Trials(failure == "", failure, width, engine, body.mass, friction)


def _require_drake() -> None:
    try:
        import pydrake  # noqa: F401
    except ImportError as error:
        raise InputError(
            "the second engine needs Drake, which is not installed: install pcdiff-grasp[drake]"
        ) from error


def _trials(
    obj: Object,
    body: Body,
    gripper: Gripper,
    friction: float,
    protocol: Protocol,
    contact: Hydroelastic,
    poses: Float[np.ndarray, "grasps 4 4"],
) -> list[Outcome]:
    from grasp.physics.hydroelastic_trial import World

    world = World(obj, body, gripper, friction, protocol, contact)
    return [world.trial(pose) for pose in poses]

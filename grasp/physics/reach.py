"""What a robot needs beside a firm grip: a straight way to the object, and a lift off its table."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics.conditions import Conditions
from grasp.physics.protocol import PROTOCOL, Motion, Protocol
from grasp.physics.simulator import body_of, check_grasps
from pcdiff.errors import InputError

APPROACH = 0.1
"""Length of the straight approach in metres."""

_STEPS = 20
"""Checks along the approach: one every 5 mm, which is less than a fingertip is thick."""

_LIFT_TIME = 0.5
"""Seconds for which the hand must carry the object."""


def approaches(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    *,
    protocol: Protocol = PROTOCOL,
) -> Bool[np.ndarray, " grasps"]:
    """Test whether the open hand reaches each grasp on a straight line without touching the object.

    The hand moves the last `APPROACH` metres along its approach axis.

    Args:
        obj: Object to grasp, a mesh.
        gripper: Gripper at its largest opening.
        poses: Grasp poses `T_object_grasp`, (grasps, 4, 4), translations in metres.
        protocol: Protocol that sets the tolerated overlap.

    Raises:
        InputError: If `grasp.physics.simulate` would refuse the object or a pose.
    """
    from grasp.physics.trial import World

    check_grasps(obj, poses)
    body = body_of(obj, Conditions(), protocol)
    world = World(body, gripper, protocol.friction, protocol)
    free = np.ones(len(poses), bool)
    for index, pose in enumerate(poses):
        # The hand is closest to the object at the end, so most collisions are found first there.
        for back in np.linspace(0.0, APPROACH, _STEPS + 1):
            retreated = pose.copy()
            retreated[:3, 3] -= back * pose[:3, 2]
            if world.collides(retreated, gripper.stroke):
                free[index] = False
                break
    return free


def lifts(
    obj: Object,
    gripper: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    down: Float[np.ndarray, "3"],
    conditions: Conditions | None = None,
    *,
    protocol: Protocol = PROTOCOL,
) -> Bool[np.ndarray, " grasps"]:
    """Test whether each grasp carries the object's weight for half a second.

    The hand closes on the object without gravity and without a table. Then gravity acts in one
    direction of the object's frame, and the hand does not move.

    Args:
        obj: Object to grasp, a mesh.
        gripper: Gripper that closes on the object.
        poses: Grasp poses `T_object_grasp`, (grasps, 4, 4), translations in metres.
        down: Direction of gravity in the object's frame, a unit vector.
        conditions: Mass, density and friction of the object. None means the protocol's density and
            friction.
        protocol: Protocol of the trials; its motions are replaced by the lift.

    Raises:
        InputError: If `grasp.physics.simulate` would refuse the object or a pose, or the direction
            is not a unit vector.
    """
    from grasp.physics.trial import World

    check_grasps(obj, poses)
    length = float(np.linalg.norm(down))
    if not abs(length - 1) < 1e-6:
        raise InputError(f"the direction of gravity must have the length 1, got {length:g}")
    given = (conditions or Conditions()).under(protocol)
    assert given.friction is not None
    body = body_of(obj, given, protocol)
    carried = np.zeros(len(poses), bool)
    world = World(body, gripper, given.friction, protocol)
    for index, pose in enumerate(poses):
        if world.collides(pose, gripper.stroke) or world.close():
            continue
        x, y, z = (pose[:3, :3].T @ down).tolist()
        carried[index] = not world.shake((Motion("along", "approach", 0.0, _LIFT_TIME, (x, y, z)),))
    return carried

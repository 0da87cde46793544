"""One grasp after another in the same world: close, shake, look whether it holds."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float

from grasp.grippers.gripper import Gripper
from grasp.physics.body import Body
from grasp.physics.model import AXES, build
from grasp.physics.protocol import Motion, Protocol

# What MuJoCo counts of numbers that are not finite or absurdly large.
_DIVERGED = [
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
]

Failure = Literal["", "collision", "missed", "dropped", "unstable"]


class Outcome(NamedTuple):
    """Of one trial.

    Attributes:
        failure: Why the grasp does not hold: the open hand is in `collision`; the closed hand has
            `missed` the object with a finger or both; the object was `dropped` while shaken; the
            numbers became `unstable`. "" if it holds.
        width: The opening between the pads in the end, metres.
    """

    failure: Failure
    width: float


class World:
    """A gripper and an object, ready for any number of independent trials.

    Args:
        body: The object.
        gripper: The hand.
        friction: Coefficient between the two.
        protocol: What happens in a trial.
    """

    def __init__(self, body: Body, gripper: Gripper, friction: float, protocol: Protocol) -> None:
        self._gripper = gripper
        self._centre = body.centre
        self._protocol = protocol
        self._model, self._at = build(body, gripper, friction, protocol)
        self._data = mujoco.MjData(self._model)

    def trial(self, pose: Float[np.ndarray, "4 4"]) -> Outcome:
        """Close the hand on the object, shake it, and say what came of it.

        Args:
            pose: `T_object_grasp`, rigid.
        """
        if self.collides(pose, self._gripper.stroke):
            return Outcome("collision", self._width())
        return Outcome(self._close() or self._shake(), self._width())

    def collides(self, pose: Float[np.ndarray, "4 4"], width: float) -> bool:
        """Whether the hand at an opening overlaps the object by more than the tolerance.

        Args:
            pose: `T_object_grasp`, rigid.
            width: Of the opening, metres.
        """
        self._place(pose, width)
        mujoco.mj_forward(self._model, self._data)
        contacts = self._data.contact
        return bool((contacts.dist < -self._protocol.collision_tolerance).any())

    def _place(self, pose: Float[np.ndarray, "4 4"], width: float) -> None:
        """Put the object in front of the resting hand, as if nothing had ever happened."""
        data, start = self._data, self._at.object_position
        mujoco.mj_resetData(self._model, data)
        self._model.opt.gravity[:] = 0
        rotation = pose[:3, :3].T
        data.qpos[start : start + 3] = rotation @ (self._centre - pose[:3, 3])
        mujoco.mju_mat2Quat(data.qpos[start + 3 : start + 7], rotation.ravel())
        data.qpos[self._at.finger_position] = width / 2

    def _close(self) -> Failure:
        protocol = self._protocol
        self._data.ctrl[self._at.finger_control] = 1.0
        seconds = self._gripper.stroke / 2 / protocol.closing_speed + protocol.squeeze_time
        for _ in range(math.ceil(seconds / protocol.check_interval)):
            self._step(protocol.check_interval)
            if self._settled():
                break
        return self._lost("missed")

    def _shake(self) -> Failure:
        for motion in self._protocol.motions:
            for sign in (1.0, -1.0, -1.0, 1.0):
                self._accelerate(motion, sign)
                self._step(motion.duration / 4)
            failure = self._lost("dropped")
            if failure:
                return failure
        return ""

    def _accelerate(self, motion: Motion, sign: float) -> None:
        field = self._protocol.gravity * np.array(motion.gravity)
        self._data.ctrl[list(self._at.turn_control.values())] = 0.0
        if motion.kind == "along":
            field -= sign * motion.acceleration * np.array(AXES[motion.axis])
        else:
            self._data.ctrl[self._at.turn_control[motion.axis]] = sign * motion.acceleration
        self._model.opt.gravity[:] = field

    def _step(self, seconds: float) -> None:
        mujoco.mj_step(self._model, self._data, round(seconds / self._protocol.time_step))

    def _settled(self) -> bool:
        """Whether nothing moves any more, or the pads have met with nothing between them."""
        protocol, start = self._protocol, self._at.object_velocity
        velocity = self._data.qvel
        if np.abs(velocity[self._at.finger_velocity]).max() > protocol.settled_speed:
            return False
        still = (
            np.abs(velocity[start : start + 3]).max() < protocol.settled_speed
            and np.abs(velocity[start + 3 : start + 6]).max() < protocol.settled_spin
        )
        return bool(still) or self._width() < protocol.shut

    def _lost(self, failure: Failure) -> Failure:
        """Nothing if both fingers touch the object, else the failure that this is now."""
        if self._data.warning.number[_DIVERGED].any():
            return "unstable"
        bodies = self._model.geom_bodyid[self._data.contact.geom]
        touches = all((bodies == finger).any() for finger in self._at.finger_body)
        return "" if touches else failure

    def _width(self) -> float:
        return max(0.0, float(self._data.qpos[self._at.finger_position].sum()))

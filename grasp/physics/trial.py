"""A trial in MuJoCo: close the hand, shake the object, and check whether the grasp succeeds.

This module imports MuJoCo, so import this module only where trials start.
"""

from __future__ import annotations

import copy

import mujoco
import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Gripper
from grasp.physics.body import Body
from grasp.physics.model import AXES, build
from grasp.physics.procedure import Outcome, Procedure
from grasp.physics.protocol import Motion, Protocol
from grasp.physics.uncertainty import Draw

# MuJoCo's warnings about numbers that are NaN, infinite or absurdly large.
_DIVERGED = [
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
]

_APPROACH = 0.004
"""Step of the opening in metres when the free stroke is skipped: 2 mm a finger."""


class World(Procedure):
    """A gripper and an object, ready for any number of independent trials.

    Most callers need only `trial` and `collides`; the other methods are the steps of a trial.

    Args:
        body: Object as a rigid body.
        gripper: Gripper to try.
        friction: Coefficient of friction between gripper and object.
        protocol: Protocol of the trials.

    Attributes:
        model: MuJoCo's model of the gripper and the object.
        data: State of the simulation.
        at: Indices of the object, the fingers and the base in the arrays of `model` and `data`.
    """

    def __init__(self, body: Body, gripper: Gripper, friction: float, protocol: Protocol) -> None:
        super().__init__(protocol)
        self._gripper = gripper
        self._centre = body.centre
        self._extent = np.ptp(np.vstack([vertices for vertices, _ in body.parts]), axis=0)
        self._error = np.eye(4)
        self._shift = np.zeros(3)
        self.model, self.at = build(body, gripper, friction, protocol)
        self.data = mujoco.MjData(self.model)
        self._named = copy.copy(self.model)

    def apply(self, draw: Draw) -> None:
        """Give the next trials the unknown factors of a draw, in place of those of an earlier draw.

        Only numbers of the model change, so that its parts need not be prepared again.

        Args:
            draw: Unknown factors of the trials.
        """
        model, named, at = self.model, self._named, self.at
        model.geom_friction[:, 0] = draw.friction
        model.geom_friction[:, 1] = draw.friction * self._protocol.torsional_friction
        model.geom_solref[:, 0] = named.geom_solref[:, 0] * draw.softness
        model.opt.impratio = named.opt.impratio * draw.creep
        fingers = at.finger_control
        model.actuator_gainprm[fingers] = named.actuator_gainprm[fingers] * draw.force
        # The force and the damping together set the speed of a free finger, which stays the same.
        model.dof_damping[at.finger_velocity] = named.dof_damping[at.finger_velocity] * draw.force
        model.body_mass[at.object_body] = named.body_mass[at.object_body] * draw.mass
        model.body_inertia[at.object_body] = named.body_inertia[at.object_body] * draw.mass
        self._shift_centre(draw.centre * self._extent)
        mujoco.mj_setConst(model, self.data)
        self._error = _about(draw, self._gripper.tool_center_point)

    def _shift_centre(self, shift: Float[np.ndarray, "3"]) -> None:
        """Move the centre of mass within the object, which moves the parts in the body's frame.

        The origin of the body stays the centre of mass; see `grasp.physics.model`.
        """
        model, named, body = self.model, self._named, self.at.object_body
        parts = slice(model.body_geomadr[body], model.body_geomadr[body] + model.body_geomnum[body])
        boxes = slice(model.body_bvhadr[body], model.body_bvhadr[body] + model.body_bvhnum[body])
        model.geom_pos[parts] = named.geom_pos[parts] - shift
        # The flag says that a part has the frame of the body, which a shift makes false.
        model.geom_sameframe[parts] = 0 if shift.any() else named.geom_sameframe[parts]
        # The tree of bounding boxes is in the body's inertial frame.
        axes = np.empty(9)
        mujoco.mju_quat2Mat(axes, model.body_iquat[body])
        model.bvh_aabb[boxes, :3] = named.bvh_aabb[boxes, :3] - shift @ axes.reshape(3, 3)
        self._shift = shift

    def trial(self, pose: Float[np.ndarray, "4 4"]) -> Outcome:
        """Run a whole trial: close the hand on the object and shake the object.

        Args:
            pose: Grasp pose `T_object_grasp`, rigid.
        """
        if self.collides(pose, self._gripper.stroke):
            return Outcome("collision", self.width())
        return Outcome(self.close() or self.shake(), self.width())

    def collides(self, pose: Float[np.ndarray, "4 4"], width: float) -> bool:
        """Test whether the hand overlaps the object by more than the tolerance.

        Args:
            pose: Grasp pose `T_object_grasp`, rigid.
            width: Opening between the pads in metres.
        """
        self.place(pose, width)
        mujoco.mj_forward(self.model, self.data)
        contacts = self.data.contact
        return bool((contacts.dist < -self._protocol.collision_tolerance).any())

    def place(self, pose: Float[np.ndarray, "4 4"], width: float) -> None:
        """Reset the simulation and place the object relative to the resting hand.

        Args:
            pose: Intended grasp pose `T_object_grasp`, rigid. The hand errs as `apply` set it.
            width: Opening between the pads in metres.
        """
        pose = pose @ self._error
        data, start = self.data, self.at.object_position
        mujoco.mj_resetData(self.model, data)
        self.model.opt.gravity[:] = 0
        rotation = pose[:3, :3].T
        data.qpos[start : start + 3] = rotation @ (self._centre + self._shift - pose[:3, 3])
        mujoco.mju_mat2Quat(data.qpos[start + 3 : start + 7], rotation.ravel())
        data.qpos[self.at.finger_position] = width / 2

    def begin_closing(self) -> None:
        """Let the fingers close with their full force from now on."""
        if self._protocol.skip_free_stroke:
            self._approach()
        self.data.ctrl[self.at.finger_control] = 1.0

    def _approach(self) -> None:
        """Move the fingers to just before the opening at which a finger touches the object.

        The fingers move in steps that are shorter than a finger is thick, so no step passes a wall.
        """
        fingers, data = self.at.finger_position, self.data
        width = self.width()
        while width > 0:
            data.qpos[fingers] = max(0.0, width - _APPROACH) / 2
            mujoco.mj_kinematics(self.model, data)
            mujoco.mj_collision(self.model, data)
            if self.touched().any():
                break
            width -= _APPROACH
        data.qpos[fingers] = max(0.0, width) / 2

    def accelerate(self, motion: Motion, sign: float) -> None:
        """Set the acceleration and the gravity of a motion for the next steps.

        Args:
            motion: Motion of the hand.
            sign: Sign of the acceleration, 1 or -1.
        """
        field = self._protocol.gravity * np.array(motion.gravity)
        self.data.ctrl[list(self.at.turn_control.values())] = 0.0
        if motion.kind == "along":
            field -= sign * motion.acceleration * np.array(AXES[motion.axis])
        else:
            self.data.ctrl[self.at.turn_control[motion.axis]] = sign * motion.acceleration
        self.model.opt.gravity[:] = field

    def step(self, seconds: float) -> None:
        """Advance the simulation.

        Args:
            seconds: Simulated time to advance, in seconds.
        """
        mujoco.mj_step(self.model, self.data, round(seconds / self._protocol.time_step))

    def finger_speed(self) -> float:
        """Return the speed of the faster finger in m/s."""
        return float(np.abs(self.data.qvel[self.at.finger_velocity]).max())

    def object_motion(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """Return the velocity of the object in m/s and its spin in rad/s."""
        start = self.at.object_velocity
        return self.data.qvel[start : start + 3], self.data.qvel[start + 3 : start + 6]

    def diverged(self) -> bool:
        """Test whether the simulation has diverged."""
        return bool(self.data.warning.number[_DIVERGED].any())

    def touched(self) -> Bool[np.ndarray, "2"]:
        """Return which of the two fingers touch the object."""
        if self.data.ncon == 0:
            return np.zeros(2, bool)
        bodies = self.model.geom_bodyid[self.data.contact.geom]
        return (bodies[..., None] == self.at.finger_body).any(axis=(0, 1))

    def width(self) -> float:
        """Return the opening between the pads in metres."""
        return max(0.0, float(self.data.qpos[self.at.finger_position].sum()))


def _about(draw: Draw, point: np.ndarray) -> Float[np.ndarray, "4 4"]:
    """Return the pose of the erring hand in the frame of the intended hand, `T_grasp_hand`."""
    error = np.eye(4)
    error[:3, :3] = Rotation.from_rotvec(draw.rotation).as_matrix()
    error[:3, 3] = point - error[:3, :3] @ point + draw.translation
    return error

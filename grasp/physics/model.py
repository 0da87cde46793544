"""The MuJoCo model of one gripper and one free object.

The world frame is the frame of the gripper before shaking. The hand consists of three bodies: a
base that turns around the approach axis and the closing axis, and two fingers that slide along x.
The base cannot translate. Instead, a force field accelerates all free bodies by -a, which has
exactly the same effect as an acceleration a of the hand. The origin of the object's body is the
centre of mass, not the origin of the mesh file, because the softness of MuJoCo's contacts and the
integration of free bodies depend on the origin of a body.

This module imports MuJoCo, so import this module only where trials start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from grasp.grippers.gripper import Box, Gripper
from grasp.physics.body import Body
from grasp.physics.protocol import Protocol
from pcdiff.errors import InputError

SIDES = ("right", "left")
"""Names of the fingers at +x and at -x."""

AXES = {"approach": (0.0, 0.0, 1.0), "closing": (1.0, 0.0, 0.0)}
"""Directions of the axes around which the base turns, in the gripper's frame."""

# A geom of the hand and a geom of the object can touch. Two geoms of the hand cannot, and two geoms
# of the object cannot.
_HAND = {"contype": 1, "conaffinity": 2}
_OBJECT = {"contype": 2, "conaffinity": 1}


@dataclass(frozen=True)
class Addresses:
    """Indices of the object, the fingers and the base in MuJoCo's arrays.

    Args:
        object_position: Index in `qpos` of the first of 7 numbers of the object's pose.
        object_velocity: Index in `qvel` of the first of 6 numbers of the object's velocity.
        object_body: Body number of the object.
        finger_position: Indices of the two fingers in `qpos`.
        finger_velocity: Indices of the two fingers in `qvel`.
        finger_body: Body numbers of the two fingers.
        finger_control: Indices in `ctrl` of the finger forces. A value is a fraction of the full
            force, and a positive value closes the hand.
        turn_control: For each axis, the index in `ctrl` of the base's angular acceleration in
            rad/s².
    """

    object_position: int
    object_velocity: int
    object_body: int
    finger_position: list[int]
    finger_velocity: list[int]
    finger_body: list[int]
    finger_control: list[int]
    turn_control: dict[str, int]


def build(
    body: Body, gripper: Gripper, friction: float, protocol: Protocol
) -> tuple[mujoco.MjModel, Addresses]:
    """Build the model of a gripper and an object.

    Args:
        body: Object as a rigid body.
        gripper: Gripper to build.
        friction: Coefficient of friction between gripper and object.
        protocol: Protocol with the settings of the simulation.

    Returns:
        The model, and the indices of its bodies in MuJoCo's arrays.

    Raises:
        InputError: If MuJoCo rejects the object's convex parts.
    """
    spec = mujoco.MjSpec()
    spec.option.timestep = protocol.time_step
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = protocol.friction_impedance_ratio
    spec.option.gravity = [0.0, 0.0, 0.0]
    spec.option.iterations = protocol.solver_iterations
    # A diverging trial is a failed trial; MuJoCo must not restart it.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    spec.compiler.balanceinertia = True
    contact = {
        "condim": 4,
        "friction": [friction, protocol.torsional_friction * friction, 0.0],
        "solref": [protocol.time_constant, 1.0],
        # The impedance is the same at any depth, so the last three numbers have no effect.
        "solimp": [protocol.impedance, protocol.impedance, 0.001, 0.5, 2.0],
        # Surfaces within the gap are reported as contacts, but only overlaps cause forces.
        "gap": protocol.contact_gap / 2,
    }
    _add_hand(spec, gripper, {**contact, **_HAND}, protocol)
    _add_object(spec, body, protocol.least_mass, {**contact, **_OBJECT})
    try:
        model = spec.compile()
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"MuJoCo rejects the convex parts of {body.name}: {reason}") from error
    return model, _addresses(model)


def _add_hand(
    spec: mujoco.MjSpec, gripper: Gripper, contact: dict[str, Any], protocol: Protocol
) -> None:
    # Gravity acts only on the object, because an arm carries the hand and a gear couples the
    # fingers. MuJoCo requires an inertia. The 1 kg·m² are negligible beside the base's armature.
    base = spec.worldbody.add_body(
        name="base", mass=gripper.mass, inertia=[1.0, 1.0, 1.0], explicitinertial=True, gravcomp=1.0
    )
    for axis, direction in AXES.items():
        base.add_joint(
            name=axis,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=direction,
            pos=gripper.tool_center_point,
            armature=protocol.base_inertia,
        )
        _add_motor(spec, axis, protocol.base_inertia)
    _add_boxes(base, gripper.hand_boxes, contact)
    force = protocol.finger_force(gripper.max_force)
    for side, boxes, outward in zip(SIDES, gripper.fingers(0.0), (1.0, -1.0), strict=True):
        finger = base.add_body(
            name=side,
            mass=protocol.finger_inertia,
            inertia=[1.0, 1.0, 1.0],
            explicitinertial=True,
            gravcomp=1.0,
        )
        finger.add_joint(
            name=side,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[outward, 0.0, 0.0],
            range=[0.0, gripper.stroke / 2],
            limited=True,
            # The damping limits the speed of a free finger; a stopped finger exerts the full force.
            damping=[force / protocol.closing_speed, 0.0, 0.0],
        )
        _add_motor(spec, side, -force)
        _add_boxes(finger, boxes, contact)
    spec.add_equality(
        name="gear",
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=SIDES[0],
        name2=SIDES[1],
        data=[0.0, 1.0, *[0.0] * 10],
        solref=[protocol.time_constant, 1.0],
        solimp=protocol.gear_impedance,
    )


def _add_motor(spec: mujoco.MjSpec, joint: str, gain: float) -> None:
    motor = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.gainprm[0] = gain


def _add_boxes(body: Any, boxes: tuple[Box, ...], contact: dict[str, Any]) -> None:
    for box in boxes:
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, pos=box.centre, size=box.half_extents, **contact
        )


def _add_object(
    spec: mujoco.MjSpec, body: Body, least_mass: float, contact: dict[str, Any]
) -> None:
    heavier = max(1.0, least_mass / body.mass)
    inertia = heavier * body.inertia
    moving = spec.worldbody.add_body(
        name="object",
        mass=heavier * body.mass,
        fullinertia=[*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2]],
        explicitinertial=True,
    )
    moving.add_freejoint(name="object")
    for index, (vertices, _) in enumerate(body.parts):
        spec.add_mesh(name=f"part{index}", uservert=np.ravel(vertices - body.centre))
        moving.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"part{index}", **contact)


def _addresses(model: mujoco.MjModel) -> Addresses:
    return Addresses(
        object_position=int(model.joint("object").qposadr[0]),
        object_velocity=int(model.joint("object").dofadr[0]),
        object_body=model.body("object").id,
        finger_position=[int(model.joint(side).qposadr[0]) for side in SIDES],
        finger_velocity=[int(model.joint(side).dofadr[0]) for side in SIDES],
        finger_body=[model.body(side).id for side in SIDES],
        finger_control=[model.actuator(side).id for side in SIDES],
        turn_control={axis: model.actuator(axis).id for axis in AXES},
    )

"""The protocols of a trial: all settings of the simulation that decide whether a grasp succeeds.

The protocols follow ACRONYM (Eppner, Mousavian, Fox: "ACRONYM: A large-scale grasp dataset based on
simulation", ICRA 2021, section IV). The free-floating hand closes on the free-floating object
without gravity. Then the object is shaken along and around the axes of the gripper. A grasp
succeeds if both fingers touch the object after closing and after every motion.

Protocol 3, the default, is chosen on half of the labels of ACRONYM's example mug and table and on
published grasps of nine YCB objects (`experiments/results/calibrate_protocol.md`).
`experiments/results/agreement.md` states its agreement with the other half. Its motions are those
of protocol 2 without gravity, but shorter. So the squeeze decides nearly every outcome; whether the
hand can carry the object's weight is tested by `grasp.physics.reach.lifts`.

Protocol 2 made the labels of version 0.1.0; it was tuned on the mug alone. Unlike ACRONYM,
protocol 2 has gravity during shaking.

A change of any setting of a released protocol requires a new version. One setting is not part of a
protocol: the decomposition of an object without exact convex parts. Label files state this setting
separately (`grasp.physics.label_digests`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from pcdiff.errors import InputError

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Motion:
    """One movement of the hand, out and back, that starts and ends at rest.

    The acceleration is +a, -a, -a and +a in the four quarters of the duration T. So the hand moves
    out by a·(T/4)² and returns.

    Args:
        kind: `along` for a translation along the axis, or `around` for a rotation around the axis.
            The axis passes through the tool centre point.
        axis: `approach` for the +z axis or `closing` for the +x axis of the gripper.
        acceleration: Acceleration a in m/s² for `along` and in rad/s² for `around`.
        duration: Duration T in seconds.
        gravity: Direction of gravity in the frame of the hand before shaking: a unit vector, or
            zeros for no gravity.
    """

    kind: Literal["along", "around"]
    axis: Literal["approach", "closing"]
    acceleration: float
    duration: float
    gravity: Vector


@dataclass(frozen=True)
class Protocol:
    """The settings of a trial. Lengths are in metres, times in seconds, forces in newtons.

    Args:
        version: Version of the protocol, which every label file records.
        time_step: Time step of the integrator (MuJoCo's `implicitfast`).
        force: Force of each finger, limited by the largest force of the gripper. None means the
            largest force of the gripper.
        closing_speed: Speed of a finger that touches nothing, in m/s.
        skip_free_stroke: True to start closing with the fingers less than 3 mm from the object, and
            to end it when both fingers have touched the object for `squeeze_time`. False to
            simulate the whole stroke.
        squeeze_time: Time limit for closing, added to the time that a free finger needs to close.
        settled_speed: Speed in m/s below which the fingers or the object count as resting. Closing
            ends when fingers and object rest.
        settled_spin: Speed of rotation in rad/s below which the object counts as resting; see
            `settled_speed`.
        shut: Opening below which the pads count as touching each other. Closing then ends even if
            the object moves.
        motions: Motions after closing, in order.
        gravity: Gravitational acceleration during shaking in m/s².
        check_interval: Interval at which the simulation checks whether closing has ended.
        friction: Default coefficient of friction between object and hand. ACRONYM's files state 1.
        density: Default density of the object in kg/m³, for a caller that states no mass. ACRONYM's
            files state 150.
        least_mass: Smallest mass of the object in a trial, in kilograms. The mass of a lighter
            object is raised to this value, because MuJoCo's contacts are softer for lighter
            objects, and the pads would pass through an object of a few grams.
        torsional_friction: Radius of the patch that a contact point represents. The patch resists
            rotation around the contact normal with the torque friction · contact force · radius.
        collision_tolerance: Largest overlap of the open hand with the object that does not count as
            a collision.
        contact_gap: Largest distance between a finger and the object that still counts as contact.
        time_constant: Time constant of the decay of an overlap (MuJoCo's `solref`, critically
            damped).
        impedance: Impedance of contacts (MuJoCo's `solimp`). An impedance of 1 is rigid.
        friction_impedance_ratio: Ratio of the impedance of friction to the impedance along the
            contact normal (MuJoCo's `impratio`). If the ratio is below 1, friction is softer than
            the contact. An object that is pushed sideways then creeps, although it slips only
            beyond Coulomb's limit. ACRONYM's labels require this creep: if the axis of a mug is a
            few millimetres beyond the edge of the pads, the hand squeezes the mug out, but rigid
            friction would keep the mug in the hand. Objects also creep in ACRONYM's simulator FleX,
            which treats friction as a relaxed position constraint.
        finger_inertia: Effective mass of each finger in kilograms, including the inertia of its
            drive.
        base_inertia: Rotational inertia of the hand's base in kg·m². It is much larger than the
            inertia of the object, so that forces on the fingers do not disturb the commanded turn.
        gear_impedance: Impedance of the gear that couples the fingers (MuJoCo's `solimp`).
        solver_iterations: Largest number of iterations of MuJoCo's solver per step.
    """

    version: str
    time_step: float
    force: float | None
    closing_speed: float
    skip_free_stroke: bool
    squeeze_time: float
    settled_speed: float
    settled_spin: float
    shut: float
    motions: tuple[Motion, ...]
    gravity: float
    check_interval: float
    friction: float
    density: float
    least_mass: float
    torsional_friction: float
    collision_tolerance: float
    contact_gap: float
    time_constant: float
    impedance: float
    friction_impedance_ratio: float
    finger_inertia: float
    base_inertia: float
    gear_impedance: tuple[float, float, float, float, float]
    solver_iterations: int

    def finger_force(self, largest: float) -> float:
        """Return the force of each finger in newtons.

        Args:
            largest: Largest force of the gripper in newtons.
        """
        return largest if self.force is None else min(self.force, largest)


_PROTOCOL_2 = Protocol(
    version="2",
    time_step=0.0025,
    force=40.0,
    closing_speed=0.1,
    skip_free_stroke=False,
    squeeze_time=0.2,
    settled_speed=0.002,
    settled_spin=0.02,
    shut=0.0001,
    motions=(
        Motion("along", "approach", 10.0, 0.2, (0.0, 0.0, 1.0)),
        Motion("along", "closing", 10.0, 0.2, (0.0, 1.0, 0.0)),
        Motion("around", "closing", 20.0, 0.2, (0.0, 0.0, -1.0)),
        Motion("around", "approach", 20.0, 0.2, (0.0, -1.0, 0.0)),
    ),
    gravity=9.81,
    check_interval=0.025,
    friction=1.0,
    density=150.0,
    least_mass=0.02,
    torsional_friction=0.01,
    collision_tolerance=0.001,
    contact_gap=0.001,
    time_constant=0.008,
    impedance=0.99,
    friction_impedance_ratio=0.02,
    finger_inertia=1.0,
    base_inertia=1000.0,
    gear_impedance=(0.99, 0.999, 0.001, 0.5, 2.0),
    solver_iterations=30,
)

_PROTOCOL_3 = dataclasses.replace(
    _PROTOCOL_2,
    version="3",
    force=None,
    skip_free_stroke=True,
    squeeze_time=0.1,
    motions=tuple(
        dataclasses.replace(motion, duration=0.06, gravity=(0.0, 0.0, 0.0))
        for motion in _PROTOCOL_2.motions
    ),
    friction=0.45,
    density=300.0,
    least_mass=0.01,
    torsional_friction=0.015,
    time_constant=0.0055,
    impedance=0.977,
    friction_impedance_ratio=0.105,
)

PROTOCOLS = {each.version: each for each in (_PROTOCOL_2, _PROTOCOL_3)}
"""All protocols by version. A released protocol never changes."""

PROTOCOL = _PROTOCOL_3
"""The protocol of trials for which the caller names none."""


def protocol_named(version: str) -> Protocol:
    """Return the protocol with a version.

    Args:
        version: A key of `PROTOCOLS`.

    Raises:
        InputError: If no protocol has this version.
    """
    if version not in PROTOCOLS:
        raise InputError(
            f"the protocol must be {' or '.join(PROTOCOLS)}, got {version!r}", parameter="protocol"
        )
    return PROTOCOLS[version]

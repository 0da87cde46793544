"""The protocol of a trial: all numbers of the simulation that decide whether a grasp holds.

The protocol follows ACRONYM (Eppner, Mousavian, Fox: "ACRONYM: A large-scale grasp dataset based on
simulation", ICRA 2021, section IV). The free-floating hand closes on the free-floating object
without gravity. Then the object is shaken along and around the axes of the gripper. A grasp holds
if both fingers still touch the object at the end. Unlike in ACRONYM, gravity acts during shaking.

The numbers were tuned on half of the grasps of ACRONYM's example mug; where several settings did
equally well, ACRONYM's example table decided. `experiments/results/calibrate_simulation.md` shows
how well the labels of the mug's other half are matched. Changing any number requires a new
`version`. One choice is made elsewhere: how an object without exact convex parts is decomposed.
Label files state this choice separately (`grasp.physics.label_digests`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Motion:
    """One movement of the hand out and back that starts and ends at rest.

    The acceleration is +a, -a, -a and +a for a quarter of the duration T each, so the hand moves by
    a·(T/4)² and returns.

    Args:
        kind: `along` an axis or `around` it; the axis passes through the tool centre point.
        axis: `approach` for +z or `closing` for +x of the gripper.
        acceleration: Acceleration a in m/s² for `along` and in rad/s² for `around`.
        duration: Duration T in seconds.
        gravity: Direction of gravity in the frame of the hand when it closed: a unit vector, or
            zeros for no gravity.
    """

    kind: Literal["along", "around"]
    axis: Literal["approach", "closing"]
    acceleration: float
    duration: float
    gravity: Vector


@dataclass(frozen=True)
class Protocol:
    """The numbers of a trial. Lengths are in metres, times in seconds, forces in newtons.

    Args:
        version: Version of the protocol, which every label file records.
        time_step: Time step of the integrator (MuJoCo's `implicitfast`).
        force: Force of each finger, or the gripper's largest force if that is smaller.
        closing_speed: Speed of a finger that touches nothing, in m/s.
        squeeze_time: Longest time that the hand keeps closing after its free stroke.
        settled_speed: Closing ends when fingers and object are slower than this, in m/s, and the
            object's rotation is slower than `settled_spin`.
        settled_spin: Largest speed of the object's rotation at which closing may end, in rad/s; see
            `settled_speed`.
        shut: Closing also ends when the opening is smaller than this.
        motions: Motions after closing, in order.
        gravity: Gravitational acceleration during shaking in m/s².
        check_interval: Interval at which the simulation checks whether closing has ended.
        friction: Coefficient of friction between object and hand if the caller gives none.
            ACRONYM's files say 1.
        density: Density of the object in kg/m³ if the caller gives no mass. ACRONYM's files say
            150.
        least_mass: Smallest mass in kilograms in a trial; a lighter object gets this mass, because
            MuJoCo's contacts get softer with the mass that they push, and the pads would close
            through a few grams.
        torsional_friction: Radius of the patch that a contact point represents; the patch resists
            spinning with a torque of friction x normal force x radius.
        collision_tolerance: Largest overlap of the open hand with the object that does not count as
            a collision.
        contact_gap: Largest distance between surfaces that count as touching when the simulation
            checks whether a grasp holds.
        time_constant: Time constant with which overlap in contacts vanishes (MuJoCo's `solref`,
            critically damped).
        impedance: Impedance of contacts (MuJoCo's `solimp`); 1 is rigid.
        friction_impedance_ratio: Ratio of frictional to normal impedance (MuJoCo's `impratio`).
            Below 1, friction is softer than the contact, so an object that is pushed sideways
            creeps, although it slips only beyond Coulomb's limit. In ACRONYM's labels, a hand
            squeezes out a mug whose axis is a few millimetres beyond the edge of the pads; rigid
            friction would hold the mug. ACRONYM's simulator FleX also treats friction as a relaxed
            position constraint, which creeps.
        finger_inertia: Effective mass of each finger in kilograms, reflected through its drive.
        base_inertia: Rotational inertia of the hand's base in kg·m², so much larger than the
            object's that the base turns as commanded whatever pulls at the fingers.
        gear_impedance: Impedance of the gear that couples the fingers (MuJoCo's `solimp`).
        solver_iterations: Largest number of iterations of MuJoCo's solver per step.
    """

    version: str
    time_step: float
    force: float
    closing_speed: float
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


PROTOCOL = Protocol(
    version="2",
    time_step=0.0025,
    force=40.0,
    closing_speed=0.1,
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
"""The protocol behind every label in this package."""

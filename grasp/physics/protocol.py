"""What happens to an object in one trial: every number of the physics that decides, in one place.

The protocol follows ACRONYM (Eppner, Mousavian, Fox: "ACRONYM: A large-scale grasp dataset based on
simulation", ICRA 2021, section IV): the free hand closes on the free object without gravity, and
the object is shaken along and around the axes of the gripper; a grasp holds if both fingers still
touch the object in the end. Beyond ACRONYM, gravity pulls while the object is shaken.

The numbers were tuned on half of the grasps of ACRONYM's mug; its table decided among settings that
did equally well there. See `experiments/results/calibrate_simulation.md` for how well the labels of
the other half are met. A change of any number is a change of `version`. The one choice that is made
elsewhere is how an object without exact parts is cut into convex ones; labels name it by itself
(`grasp.physics.conditions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Motion:
    """One movement of the hand there and back, which begins and ends at rest.

    The acceleration is +a, -a, -a, +a for a quarter of the duration T each, so the hand gets as far
    as a·(T/4)² and returns.

    Args:
        kind: `along` an axis or `around` it, through the tool centre point.
        axis: `approach` is +z and `closing` +x of the gripper.
        acceleration: a, in m/s² along or rad/s² around.
        duration: T, in seconds.
        gravity: The direction of gravity in the frame of the hand as it was closed; a unit vector,
            or zeros for none.
    """

    kind: Literal["along", "around"]
    axis: Literal["approach", "closing"]
    acceleration: float
    duration: float
    gravity: Vector


@dataclass(frozen=True)
class Protocol:
    """The numbers of a trial. Lengths in metres, times in seconds, forces in newtons.

    Args:
        version: Every file of labels records it.
        time_step: Of the integrator (MuJoCo's `implicitfast`).
        force: Each finger presses with, or the gripper's largest force if that is smaller.
        closing_speed: Of a finger that touches nothing.
        squeeze_time: The hand closes for at most this longer than its free stroke takes.
        settled_speed: Closing ends when fingers and object are slower, m/s, …
        settled_spin: … and the object turns slower, rad/s.
        shut: Closing also ends when the opening is below this.
        motions: What follows closing, in order.
        gravity: m/s², while the object is shaken.
        check_interval: How often it is looked at whether the hand has closed.
        friction: Coefficient of the object against the hand, if the caller has none. ACRONYM's
            files say 1.
        density: kg/m³, if the caller has no mass. ACRONYM's files say 150.
        least_mass: Kilograms that a lighter object is given in the trial: MuJoCo's contacts are as
            soft as what they push is light, and the pads would close through a few grams.
        torsional_friction: The radius of the patch that a contact point stands for: it resists
            spinning by a torque of friction x normal force x this.
        collision_tolerance: The open hand may overlap the object by so much before the grasp counts
            as in collision.
        contact_gap: Surfaces this near count as touching when it is asked whether a grasp holds.
        time_constant: Of contacts (MuJoCo's `solref`, critically damped): overlap vanishes with it.
        impedance: Of contacts (MuJoCo's `solimp`): 1 is rigid.
        friction_impedance_ratio: MuJoCo's `impratio`. Below 1, friction is softer than the contact:
            what is pushed sideways creeps, though it slips only beyond Coulomb's limit. In
            ACRONYM's labels, a hand squeezes out a mug whose axis is a few millimetres beyond the
            edge of the pads; rigid friction would hold it. FleX treats friction as a relaxed
            constraint on positions, which creeps too.
        finger_inertia: Kilograms that each finger moves, reflected through its drive.
        base_inertia: kg·m² with which the hand's base turns: so far above the object's that it
            turns as told, whatever pulls at the fingers.
        gear_impedance: Of the gear that moves the fingers alike (MuJoCo's `solimp`).
        solver_iterations: At most so many in a step of MuJoCo's solver.
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
"""The one that every label of this package is made with."""

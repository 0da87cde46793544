"""Measures of grasps beside their success: robust success, a second engine, and a robot's needs.

A measure gives a number from 0 to 1 for every grasp of a case. Measures of success count 0 for an
object for which the source gave no grasp; the other measures are then undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from grasp.grippers.gripper import Gripper
from grasp.judging.benchmark import Case
from grasp.judging.labels import Outcomes, Simulator
from grasp.objects.object import Object
from grasp.physics import Conditions, RobustTrials
from grasp.physics.protocol import Protocol
from grasp.physics.reach import APPROACH, approaches, lifts
from grasp.poses.frames import inverse
from grasp.scenes.collision import in_collision as contains_points
from grasp.scenes.collision import meets_half_space

Values = Callable[[Case, Gripper, np.ndarray, Outcomes], np.ndarray | None]
"""A function that measures grasps of a case: the case, the gripper, poses `T_object_grasp`, and
outcomes of the poses in physics. It returns one number per grasp, NaN for a grasp that it did not
measure, or None if the measure does not apply to the case."""


@dataclass(frozen=True)
class Measure:
    """A measure of every grasp.

    Attributes:
        name: Name of the figure in JSON.
        title: Title of the column in tables.
        of: Function that measures the grasps of a case.
        success: True for a measure of success, which is stated for all grasps (`NAME_all`) and for
            the best ranked grasps (`NAME_top20`). False for a share that is stated as `NAME`.
    """

    name: str
    title: str
    of: Values
    success: bool = False


def robust(simulate: Callable[[Object, Gripper, np.ndarray], RobustTrials], named: str) -> Measure:
    """Return the measure of robust success: the share of the draws in which a grasp succeeds.

    Args:
        simulate: Function that tries poses under all draws, e.g. `grasp.physics.simulate_robust`.
        named: Version of the uncertainty, for the title.
    """

    def values(case: Case, gripper: Gripper, poses: np.ndarray, _: Outcomes) -> np.ndarray:
        return simulate(case.truth, gripper, poses).success

    return Measure("robust", f"robust (uncertainty {named})", values, success=True)


def second_engine(simulate: Simulator, named: str, count: int) -> Measure:
    """Return the measure of success in a second physics engine.

    Args:
        simulate: Physics of the second engine.
        named: Name of the engine.
        count: Largest number of grasps that are tried per case. They are spread evenly over the
            ranking.
    """

    def values(case: Case, gripper: Gripper, poses: np.ndarray, _: Outcomes) -> np.ndarray:
        chosen = np.unique(
            np.linspace(0, len(poses) - 1, min(count, len(poses))).round().astype(int)
        )
        found = np.full(len(poses), np.nan)
        found[chosen] = simulate(case.truth, gripper, poses[chosen]).success
        return found

    return Measure(named, f"success in {named}", values, success=True)


def other_protocol(simulate: Simulator, version: str) -> Measure:
    """Return the measure of success under another protocol.

    Args:
        simulate: Physics under that protocol.
        version: Version of that protocol.
    """

    def values(case: Case, gripper: Gripper, poses: np.ndarray, _: Outcomes) -> np.ndarray:
        return simulate(case.truth, gripper, poses).success.astype(float)

    return Measure(f"success_{version}", f"success (protocol {version})", values, success=True)


def reach(conditions: Conditions, protocol: Protocol) -> tuple[Measure, ...]:
    """Return the measures of collisions, of the straight approach and of the lift.

    Args:
        conditions: Mass, density and friction for the lift.
        protocol: Protocol of the trials.
    """

    def collides(_: Case, __: Gripper, ___: np.ndarray, trials: Outcomes) -> np.ndarray:
        return (trials.failure == "collision").astype(float)

    def hidden(
        case: Case, gripper: Gripper, poses: np.ndarray, trials: Outcomes
    ) -> np.ndarray | None:
        if case.seen.is_mesh:
            return None
        visible = contains_points(poses, gripper, case.seen.vertices, tolerance=0.0)
        return ((trials.failure == "collision") & ~visible).astype(float)

    def table(case: Case, gripper: Gripper, poses: np.ndarray, _: Outcomes) -> np.ndarray | None:
        if case.T_table_object is None:
            return None
        table_frame = inverse(case.T_table_object)
        return meets_half_space(poses, gripper, table_frame).astype(float)

    def approach(case: Case, gripper: Gripper, poses: np.ndarray, _: Outcomes) -> np.ndarray:
        free = approaches(case.truth, gripper, poses, protocol=protocol)
        if case.T_table_object is not None:
            # The hand moves on a line, so it clears the table if both ends of the line do.
            for back in (0.0, APPROACH):
                moved = poses.copy()
                moved[:, :3, 3] -= back * poses[:, :3, 2]
                free &= ~meets_half_space(moved, gripper, inverse(case.T_table_object))
        return free.astype(float)

    def lift(case: Case, gripper: Gripper, poses: np.ndarray, _: Outcomes) -> np.ndarray | None:
        if case.T_table_object is None:
            return None
        down = -case.T_table_object[2, :3]
        held = lifts(case.truth, gripper, poses, down, conditions, protocol=protocol)
        return held.astype(float)

    return (
        Measure("collides", "collides with object", collides),
        Measure("collides_hidden", "only with its hidden side", hidden),
        Measure("collides_table", "collides with table", table),
        Measure("straight_approach", "straight approach", approach),
        Measure("lift", "lift", lift),
    )

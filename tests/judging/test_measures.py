"""Measures of grasps at places where their values are known exactly."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.judging.benchmark import Case
from grasp.judging.measures import other_protocol, reach, robust, second_engine
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, Trials
from grasp.scenes.collision import TOLERANCE
from tests.physics.conftest import box, hold

CUBE = box(0.06, 0.06, 0.06)
FROM_ABOVE = np.diag([1.0, -1.0, -1.0, 1.0])
LOWEST = 0.1034 + 0.0259  # distance from the middle of the pads to the rear end of the hand


def case(truth=CUBE, seen=None, table=None):
    return Case("case", "group", truth, truth if seen is None else seen, T_table_object=table)


def at_height(height):
    """Pose of an object's frame above a table, turned about the vertical."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    pose[2, 3] = height
    return pose


def tried(*failure):
    causes = np.array(failure, dtype=np.str_)
    return Trials(causes == "", causes, np.zeros(len(causes)), PROTOCOL.version, 0.1, 0.5)


def of_reach(name, conditions=None):
    measures = {each.name: each for each in reach(conditions or Conditions(), PROTOCOL)}
    assert list(measures) == [
        "collides", "collides_hidden", "collides_table", "straight_approach", "lift"
    ]  # fmt: skip
    assert not any(each.success for each in measures.values())
    return measures[name].of


def test_robust_success_is_that_of_the_trials(panda):
    shares, poses = np.array([0.0, 0.4375, 1.0]), np.stack([hold()] * 3)

    def simulate(obj, gripper, given):
        assert (obj, gripper) == (CUBE, panda)
        np.testing.assert_array_equal(given, poses)
        return SimpleNamespace(success=shares)

    measure = robust(simulate, "7")
    assert (measure.name, measure.title, measure.success) == (
        "robust", "robust (uncertainty 7)", True
    )  # fmt: skip
    scanned = case(seen=box(0.07, 0.07, 0.07))
    assert measure.of(scanned, panda, poses, tried()) is shares


@pytest.mark.parametrize(
    ("grasps", "most", "places"),
    [
        (0, 3, []),
        (1, 3, [0]),
        (3, 3, [0, 1, 2]),
        (7, 3, [0, 3, 6]),
        (101, 5, [0, 25, 50, 75, 100]),
        (5, 1, [0]),
        (2, 20, [0, 1]),
    ],
)
def test_a_second_engine_tries_grasps_spread_evenly_over_the_ranking(panda, grasps, most, places):
    poses = np.tile(np.eye(4), (grasps, 1, 1))
    poses[:, 0, 3] = np.arange(grasps)
    calls = []

    def simulate(obj, gripper, given):
        calls.append(given[:, 0, 3].astype(int).tolist())
        return SimpleNamespace(success=given[:, 0, 3] % 2 == 0)

    measure = second_engine(simulate, "drake", most)
    assert (measure.name, measure.title, measure.success) == ("drake", "success in drake", True)
    found = measure.of(case(), panda, poses, tried())
    assert calls == [places]
    expected = np.full(grasps, np.nan)
    expected[places] = [place % 2 == 0 for place in places]
    np.testing.assert_array_equal(found, expected)


def test_another_protocol_tries_every_grasp(panda):
    measure = other_protocol(lambda obj, gripper, poses: tried("", "dropped"), "2")
    assert (measure.name, measure.title, measure.success) == (
        "success_2", "success (protocol 2)", True
    )  # fmt: skip
    assert measure.of(case(), panda, np.stack([hold()] * 2), tried()).tolist() == [1.0, 0.0]


def test_only_collisions_count_as_collisions(panda):
    found = of_reach("collides")(
        case(), panda, np.stack([hold()] * 4), tried("collision", "", "dropped", "missed")
    )
    assert found.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_collisions_with_what_the_source_did_not_see(panda):
    """The source saw the half of the cube below z = 0; hands come from below and from above."""
    grid = np.linspace(-0.03, 0.03, 31)
    x, y, z = np.meshgrid(grid, grid, grid, indexing="ij")
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    points = points[(np.abs(points).max(axis=1) > 0.0299) & (points[:, 2] < 0)]
    cloud = Object.from_points(points, points / np.linalg.norm(points, axis=1)[:, None])
    into_seen = hold((0.0, 0.0, 0.02))  # the palm is 17 mm inside the lower half
    poses = np.stack([into_seen, FROM_ABOVE @ into_seen, FROM_ABOVE @ hold((0, 0, -0.01))])
    trials = tried("collision", "collision", "")
    hidden = of_reach("collides_hidden")
    assert hidden(case(seen=cloud), panda, poses, trials).tolist() == [0.0, 1.0, 0.0]
    assert hidden(case(), panda, poses, trials) is None  # a mesh shows all sides


def test_collisions_with_the_table(panda):
    """A hand from below reaches `LOWEST` below the middle of the pads; `TOLERANCE` is allowed."""
    heights = LOWEST - np.array([0.0, 0.9, 1.1, 20.0]) * TOLERANCE
    for height, collides in zip(heights, (0.0, 0.0, 1.0, 1.0), strict=True):
        on_table = case(table=at_height(height))
        poses = np.stack([hold(), FROM_ABOVE @ hold()])
        found = of_reach("collides_table")(on_table, panda, poses, tried("", ""))
        assert found.tolist() == [collides, 0.0], height
    assert of_reach("collides_table")(case(), panda, np.stack([hold()]), tried("")) is None


def test_the_whole_straight_approach_must_clear_the_table(panda):
    """A hand from below starts 10 cm lower than it ends; a hand from above starts higher."""
    poses = np.stack([hold(), FROM_ABOVE @ hold()])
    approach, cube = of_reach("straight_approach"), box(0.03, 0.03, 0.03)
    trials = tried("", "")
    for height, free in ((LOWEST + 0.05, 0.0), (LOWEST + 0.098, 0.0), (LOWEST + 0.1, 1.0)):
        found = approach(case(cube, table=at_height(height)), panda, poses, trials)
        assert found.tolist() == [free, 1.0], height
    assert approach(case(cube), panda, poses, trials).tolist() == [1.0, 1.0]
    # A hand from above whose pads end below the table: 8.8 mm of the fingertips are below them.
    for height, free in ((0.0088, 1.0), (0.005, 0.0)):
        found = approach(case(cube, table=at_height(height)), panda, poses[1:], trials)
        assert found.tolist() == [free], height


def test_a_lift_is_against_the_gravity_of_the_table(panda):
    """Gravity pulls the cube into a pad of one hand and along the pads of the other.

    The weight is between the limits of these two hands, 2·μ·F and 2·F.
    """
    force = PROTOCOL.finger_force(panda.max_force)
    given = Conditions(mass=1.2 * force / PROTOCOL.gravity, friction=0.3)
    lift, cube = of_reach("lift", given), box(0.03, 0.03, 0.03)
    turned = hold()
    turned[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    poses = np.stack([hold(), turned])
    for axis, held in ((0, [1.0, 0.0]), (1, [0.0, 1.0]), (2, [0.0, 0.0])):
        table = np.eye(4)
        table[:3, :3] = np.roll(np.eye(3), axis + 1, axis=1)  # the axis of the cube that is up
        table[2, 3] = 1.0
        assert table[2, axis] == 1
        sign = -1 if axis == 2 else 1  # the palms are below the cube unless it is upside down
        table[1:3, :3] *= sign
        found = lift(case(cube, table=table), panda, poses, tried("", ""))
        assert found.tolist() == held, axis
    assert lift(case(cube), panda, poses, tried("", "")) is None

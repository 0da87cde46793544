"""Trials in Drake against hand-computed mechanics and against the symmetries of a trial."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, Motion, Protocol, processes, simulate
from grasp.physics.body import rigid_body
from grasp.physics.hydroelastic import HYDROELASTIC, simulate_hydroelastic
from pcdiff.errors import InputError
from tests.physics.conftest import BOTH, box, convex, hanging, hold

G = PROTOCOL.gravity
STEP = HYDROELASTIC.steps * PROTOCOL.time_step  # the same in all protocols
CUBE = box(0.03, 0.03, 0.03)

# Drake's own friction, so that a friction of the conditions is the coefficient of Coulomb's law.
EXACT = dataclasses.replace(HYDROELASTIC, friction=1.0)

HANG = hanging(PROTOCOL, 0.5)


@pytest.fixture
def drake() -> None:
    """Skip on a platform without a wheel of Drake."""
    pytest.importorskip("pydrake")


pytestmark = pytest.mark.usefixtures("drake")


def world(gripper: Gripper, obj: Object = CUBE, protocol: Protocol = PROTOCOL) -> Any:
    from grasp.physics.hydroelastic_trial import World

    body = rigid_body(obj, obj.parts or (), 0.2, 300.0)
    return World(obj, body, gripper, protocol.friction, protocol, HYDROELASTIC)


def candidates(count: int) -> np.ndarray:
    """Poses around a box of 3 x 5 x 7 cm, good and bad."""
    rng = np.random.default_rng(5)
    points = rng.uniform(-1, 1, (count, 3)) * [0.012, 0.03, 0.045]
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("zyx", rng.normal(0, 0.5, (count, 3))).as_matrix()
    poses[:, :3, 3] = points - 0.1034 * poses[:, :3, 2]
    return poses


@BOTH
@pytest.mark.parametrize("friction", [0.3, 1.0])
def test_a_box_slips_if_it_is_too_heavy_for_friction(
    panda: Gripper, friction: float, protocol: Protocol
) -> None:
    # Coulomb: two pads hold at most 2·μ·F against the weight m·g.
    limit = 2 * friction * protocol.finger_force(panda.max_force) / protocol.gravity
    for share, failure in ((0.95, ""), (1.05, "dropped")):
        trials = simulate_hydroelastic(
            CUBE, panda, hold()[None], Conditions(mass=share * limit, friction=friction),
            protocol=hanging(protocol), contact=EXACT,
        )  # fmt: skip
        assert trials.failure.tolist() == [failure], share


def test_the_factor_multiplies_the_friction(panda: Gripper) -> None:
    mass = 0.9 * 2 * 1.0 * PROTOCOL.finger_force(panda.max_force) / G
    for factor, failure in ((1.0, ""), (0.8, "dropped")):
        trials = simulate_hydroelastic(
            CUBE, panda, hold()[None], Conditions(mass=mass, friction=1.0), protocol=HANG,
            contact=dataclasses.replace(HYDROELASTIC, friction=factor),
        )  # fmt: skip
        assert trials.failure.tolist() == [failure], factor
        assert trials.friction == 1.0


def test_the_force_bears_the_weight_up_to_the_limit_of_the_gripper(panda: Gripper) -> None:
    # The last mass is 0.9 times what 80 N would bear, but the gripper's largest force is 70 N.
    assert panda.max_force == 70
    for force, mass, held in (
        (40.0, 6.0, True),
        (30.0, 7.0, False),
        (None, 0.9 * 140 / G, True),
        (80.0, 0.9 * 160 / G, False),
    ):
        trials = simulate_hydroelastic(
            CUBE, panda, hold()[None], Conditions(mass=mass, friction=1.0),
            protocol=dataclasses.replace(HANG, force=force), contact=EXACT,
        )  # fmt: skip
        assert trials.success.tolist() == [held], force


@BOTH
def test_shaking_adds_to_the_weight(panda: Gripper, protocol: Protocol) -> None:
    # Along the approach, the hand's own acceleration adds to gravity: m·(g + a) against 2·μ·F.
    acceleration, friction = 15.0, 0.5
    force = protocol.finger_force(panda.max_force)
    limit = 2 * friction * force / (protocol.gravity + acceleration)
    cases = ((-acceleration, 0.9, True), (-acceleration, 1.2, False), (0.0, 1.2, True))
    for a, share, held in cases:
        motion = Motion("along", "approach", a, 2.0, (0.0, 0.0, 1.0))
        trials = simulate_hydroelastic(
            CUBE, panda, hold()[None], Conditions(mass=share * limit, friction=friction),
            protocol=dataclasses.replace(protocol, motions=(motion,)), contact=EXACT,
        )  # fmt: skip
        assert trials.success.tolist() == [held], (a, share)


@pytest.mark.parametrize("axis", ["approach", "closing"])
def test_the_hand_turns_with_the_commanded_acceleration(panda: Gripper, axis: str) -> None:
    turning = world(panda)
    turning.place(hold((0.0, 0.5, 0.0)))  # the hand is empty
    steps, step, acceleration = 10, STEP, 20.0
    turning._apply({axis: acceleration}, np.zeros(3))
    turning.step(steps * step)
    angle = turning._plant.GetJointByName(axis).get_angle(turning._context)
    # The semi-implicit Euler method; the inertia of the hand's bodies is 0.4 % of the armature.
    expected = acceleration * step**2 * steps * (steps + 1) / 2
    assert angle == pytest.approx(expected, rel=5e-3)


@BOTH
def test_a_free_finger_closes_as_in_the_first_engine(panda: Gripper, protocol: Protocol) -> None:
    from grasp.physics.trial import World

    seconds = 0.3
    first = World(rigid_body(CUBE, CUBE.parts or (), 0.2, 300.0), panda, 1.0, protocol)
    second = world(panda, protocol=protocol)
    away = hold((0.0, 0.5, 0.0))
    first.place(away, panda.stroke)
    first.data.ctrl[first.at.finger_control] = 1.0
    first.step(seconds)
    second.place(away)
    second._apply({}, np.zeros(3))
    second.step(seconds)
    # m·a = F - F·v/v_0, so the finger lags behind v_0·t by v_0·τ with τ = m·v_0/F, 2.5 ms at 40 N.
    speed = protocol.closing_speed
    lag = protocol.finger_inertia * speed / protocol.finger_force(panda.max_force)
    expected = panda.stroke - 2 * speed * (seconds - lag)
    # An implicit step of 5 ms begins a step late: 0.5 mm for each finger at most.
    assert second.width() == pytest.approx(expected, abs=2 * speed * STEP)
    assert second.width() == pytest.approx(first.width(), abs=2 * speed * STEP)


@BOTH
def test_the_pads_sink_in_by_the_modulus(panda: Gripper, protocol: Protocol) -> None:
    trials = simulate_hydroelastic(
        CUBE, panda, hold()[None], Conditions(mass=0.05), protocol=hanging(protocol, 0.5)
    )
    # The pressure rises linearly from 0 to the modulus over the half-thickness of the fingertip, so
    # F = E·(d/h)·A for the overlap d. The edges, where it rises less, reduce A by about 2·d a side.
    tip = panda.finger_boxes[0].half_extents
    force = protocol.finger_force(panda.max_force)
    overlap = force * tip[0] / (HYDROELASTIC.modulus * 4 * tip[1] * tip[2])
    assert trials.width[0] == pytest.approx(0.03 - 2 * overlap, abs=0.1 * overlap)


@BOTH
def test_each_failure_has_its_cause(panda: Gripper, protocol: Protocol) -> None:
    poses = np.stack([hold(), hold((0, 0.2, 0)), hold((0.03, 0, 0)), hold((0, 0, 0.04))])
    told: list[int] = []
    trials = simulate_hydroelastic(CUBE, panda, poses, protocol=protocol, progress=told.append)
    assert trials.failure.tolist() == ["", "missed", "collision", "collision"]
    assert trials.success.tolist() == [True, False, False, False]
    assert trials.width[1] == pytest.approx(0.0, abs=2e-4)
    assert trials.width[2:].tolist() == [0.08, 0.08]
    assert trials.mass == pytest.approx(0.03**3 * protocol.density)
    assert trials.friction == protocol.friction
    assert trials.protocol == f"{protocol.version} in Drake, hydroelastic settings 1"
    assert sum(told) == len(poses)


def test_an_object_wider_than_the_stroke_is_in_collision(panda: Gripper) -> None:
    for width, failure in ((0.078, ""), (0.0815, ""), (0.0825, "collision")):
        trials = simulate_hydroelastic(box(width, 0.04, 0.04), panda, hold()[None])
        assert trials.failure.tolist() == [failure], width


def test_a_finger_fits_into_a_hollow_object_without_convex_parts(panda: Gripper) -> None:
    outside, inside = trimesh.creation.box((0.1, 0.1, 0.1)), trimesh.creation.box((0.09, 0.09, 0.2))
    tube = outside.difference(inside, engine="manifold")
    hull = convex(trimesh.convex.convex_hull(tube)).parts
    obj = Object.from_mesh(np.array(tube.vertices), np.array(tube.faces), parts=hull)
    pose = hold((0.0475, 0.0, -0.042))
    trials = simulate_hydroelastic(obj, panda, pose[None], Conditions(mass=0.1))
    assert trials.failure.tolist() == [""]
    assert trials.width[0] == pytest.approx(0.005, abs=5e-4)
    # The first engine knows only the convex parts, here the hull.
    assert simulate(obj, panda, pose[None], Conditions(mass=0.1)).failure.tolist() == ["collision"]


def test_an_open_surface_is_held_from_outside(panda: Gripper) -> None:
    cube = trimesh.creation.box((0.03, 0.03, 0.03))
    walls = np.array(cube.faces)[np.abs(cube.face_normals[:, 2]) < 0.5]
    obj = Object.from_mesh(np.array(cube.vertices), walls, parts=CUBE.parts)
    trials = simulate_hydroelastic(obj, panda, hold()[None], Conditions(mass=0.02))
    assert trials.failure.tolist() == [""]


def test_a_sheet_without_thickness_can_be_touched_from_both_sides_but_not_held(
    panda: Gripper,
) -> None:
    from grasp.physics.hydroelastic_trial import touchable_faces

    square = np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1.0]]) * 0.03
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    obj = Object.from_mesh(square, faces, parts=box(0.001, 0.06, 0.06).parts)
    corners = obj.vertices[touchable_faces(obj)]
    towards = np.sign(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 0])
    assert sorted(towards) == [-1, -1, 1, 1]
    # The pads meet each other exactly where they would meet the sheet.
    trials = simulate_hydroelastic(obj, panda, hold()[None], Conditions(mass=0.02))
    assert trials.failure.tolist() == ["missed"]


def test_moving_object_and_grasps_together_changes_nothing(panda: Gripper) -> None:
    poses = candidates(8)
    obj = box(0.03, 0.05, 0.07)
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", [0.3, -1.2, 2.0]).as_matrix()
    move[:3, 3] = [0.4, -0.7, 0.2]
    vertices = obj.vertices @ move[:3, :3].T + move[:3, 3]
    moved = Object.from_mesh(vertices, obj.faces, parts=((vertices, obj.faces),))
    here, there = (
        simulate_hydroelastic(obj, panda, poses),
        simulate_hydroelastic(moved, panda, move @ poses),
    )
    assert len(set(here.failure)) > 1
    assert here.failure.tolist() == there.failure.tolist()


def test_processes_neighbours_and_repetition_change_no_outcome(panda: Gripper) -> None:
    poses, obj = candidates(10), box(0.03, 0.05, 0.07)
    once, twice = (simulate_hydroelastic(obj, panda, poses) for _ in range(2))
    assert once.width.tolist() == twice.width.tolist()  # to the last bit
    with processes(2) as pool:
        shared = simulate_hydroelastic(obj, panda, poses[::-1], pool=pool)
    assert once.failure.tolist() == shared.failure[::-1].tolist()
    assert once.width.tolist() == shared.width[::-1].tolist()
    assert 0 < once.success.mean() < 1


def test_no_grasps(panda: Gripper) -> None:
    trials = simulate_hydroelastic(CUBE, panda, np.zeros((0, 4, 4)))
    assert len(trials.success) == len(trials.failure) == len(trials.width) == 0


def test_other_errors_of_drake_are_not_hidden(
    panda: Gripper, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grasp.physics.hydroelastic_trial import World

    def fail(message: str) -> Any:
        def close(self: Any) -> Any:
            raise RuntimeError(message)

        return close

    monkeypatch.setattr(World, "close", fail("The SAP solver failed to converge"))
    found = simulate_hydroelastic(CUBE, panda, hold()[None])
    assert found.failure.tolist() == ["unstable"]
    monkeypatch.setattr(World, "close", fail("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        simulate_hydroelastic(CUBE, panda, hold()[None])


def test_objects_and_poses_that_physics_refuses(panda: Gripper) -> None:
    cloud = Object.from_points(np.random.default_rng(0).normal(0, 0.03, (200, 3)))
    with pytest.raises(InputError, match="is a point cloud, but physics needs a mesh"):
        simulate_hydroelastic(cloud, panda, hold()[None])
    with pytest.raises(InputError, match="expected at most 100 m"):
        simulate_hydroelastic(CUBE, panda, hold((0.0, 200.0, 0.0))[None])

"""Trials of grasps against hand-computed mechanics and against the symmetries of a trial."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics import (
    PROTOCOL,
    PROTOCOLS,
    Conditions,
    Motion,
    Protocol,
    Trials,
    cores,
    in_collision,
    simulate,
)
from grasp.physics.trial import Outcome, World
from pcdiff.errors import InputError
from tests.physics.conftest import BOTH, box, convex, hanging, hold, sink

ROOT = Path(__file__).resolve().parents[2]


def _turned(rotation: Rotation, point: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """T_object_grasp of a panda rotated about a point between its pads."""
    pose = np.eye(4)
    pose[:3, :3] = rotation.as_matrix()
    pose[:3, 3] = np.array(point) - 0.1034 * pose[:3, 2]
    return pose


@BOTH
@pytest.mark.parametrize("friction", [0.3, 1.0])
def test_a_box_slips_if_it_is_too_heavy_for_friction(
    panda: Gripper, friction: float, protocol: Protocol
) -> None:
    # Coulomb: two pads hold at most 2·μ·F against the weight m·g.
    limit = 2 * friction * protocol.finger_force(panda.max_force) / protocol.gravity
    for share, failure in ((0.9, ""), (1.1, "dropped")):
        trials = simulate(
            box(0.03, 0.03, 0.03), panda, hold()[None],
            Conditions(mass=share * limit, friction=friction), protocol=hanging(protocol),
        )  # fmt: skip
        assert trials.failure.tolist() == [failure], share


@BOTH
def test_shaking_adds_to_the_weight(panda: Gripper, protocol: Protocol) -> None:
    # Along the approach, the hand's own acceleration adds to gravity: m·(g + a) against 2·μ·F.
    acceleration, friction = 15.0, 0.5
    force = protocol.finger_force(panda.max_force)
    limit = 2 * friction * force / (protocol.gravity + acceleration)
    away, still = (
        dataclasses.replace(
            protocol, motions=(Motion("along", "approach", a, 2.0, (0.0, 0.0, 1.0)),)
        )
        for a in (-acceleration, 0.0)
    )
    for shaken, mass, held in (
        (away, 0.9 * limit, True),
        (away, 1.2 * limit, False),
        (still, 1.2 * limit, True),
    ):
        trials = simulate(
            box(0.03, 0.03, 0.03), panda, hold()[None],
            Conditions(mass=mass, friction=friction), protocol=shaken,
        )  # fmt: skip
        assert trials.success.tolist() == [held], mass


@BOTH
def test_a_hand_that_turns_too_fast_loses_a_beam(panda: Gripper, protocol: Protocol) -> None:
    # The pads can apply a torque of about 2·μ·F·(1 to 4 cm), 1 to 3 N·m; the beam needs m·l²/12·α,
    # 0.2 or 20 N·m.
    beam = box(0.02, 0.4, 0.02)
    for acceleration, held in ((30.0, True), (3000.0, False)):
        spin = Motion("around", "closing", acceleration, 0.2, (0.0, 0.0, 0.0))
        trials = simulate(
            beam, panda, hold()[None], Conditions(mass=0.5),
            protocol=dataclasses.replace(protocol, motions=(spin,)),
        )  # fmt: skip
        assert trials.success.tolist() == [held]


@BOTH
def test_the_force_is_limited_by_the_gripper(panda: Gripper, protocol: Protocol) -> None:
    force = protocol.finger_force(panda.max_force)
    weak = dataclasses.replace(panda, max_force=force / 4)
    assert protocol.finger_force(weak.max_force) == force / 4
    conditions = Conditions(mass=force / protocol.gravity, friction=1.0)  # the full force bears 2
    for gripper, held in ((panda, True), (weak, False)):
        trials = simulate(
            box(0.03, 0.03, 0.03), gripper, hold()[None], conditions, protocol=hanging(protocol)
        )
        assert trials.success.tolist() == [held]


def test_a_protocol_without_a_force_has_that_of_the_gripper() -> None:
    limited = dataclasses.replace(PROTOCOL, force=30.0)
    own = dataclasses.replace(PROTOCOL, force=None)
    for largest, force in ((20.0, 20.0), (30.0, 30.0), (70.0, 30.0)):
        assert limited.finger_force(largest) == force
        assert own.finger_force(largest) == largest


@BOTH
def test_failures_have_names(panda: Gripper, protocol: Protocol) -> None:
    cube = box(0.03, 0.03, 0.03)
    poses = np.stack(
        [
            hold(),
            hold((0.0, 0.0, 0.5)),  # far from the object
            hold((0.04, 0.0, 0.0)),  # a finger is inside the cube
            hold((0.0, 0.0, 0.05)),  # the palm is inside the cube
        ]
    )
    conditions = Conditions(density=10 * protocol.density)
    trials = simulate(cube, panda, poses, conditions, protocol=protocol)
    assert trials.failure.tolist() == ["", "missed", "collision", "collision"]
    assert trials.success.tolist() == [True, False, False, False]
    assert trials.width[0] == pytest.approx(0.03 - 2 * sink(trials.mass, protocol), abs=5e-5)
    assert trials.width[1] == pytest.approx(0.0, abs=2e-4)
    assert trials.width[2:].tolist() == [0.08, 0.08]
    assert trials.protocol == protocol.version
    assert trials.mass == pytest.approx(0.03**3 * 10 * protocol.density)
    assert trials.friction == protocol.friction


def test_trials_without_a_named_protocol_use_the_default(panda: Gripper) -> None:
    trials = simulate(box(0.03, 0.03, 0.03), panda, hold()[None])
    assert trials.protocol == PROTOCOL.version
    assert trials.mass == pytest.approx(0.03**3 * PROTOCOL.density)
    assert trials.friction == PROTOCOL.friction


@BOTH
def test_an_object_wider_than_the_stroke_is_in_collision(
    panda: Gripper, protocol: Protocol
) -> None:
    for width, failure in ((0.078, ""), (0.084, "collision")):
        trials = simulate(box(width, 0.04, 0.04), panda, hold()[None], protocol=protocol)
        assert trials.failure.tolist() == [failure]


def test_collisions_depend_on_the_opening(panda: Gripper) -> None:
    cube = box(0.02, 0.02, 0.02)
    touched = PROTOCOL.collision_tolerance
    poses = np.stack([hold((x, 0.0, 0.0)) for x in (0.0, 0.029, 0.03 + 2 * touched)])
    assert in_collision(poses, panda, cube).tolist() == [False, False, True]
    # At an opening of the cube's width the pads touch it; an overlap of a millimetre is tolerated.
    for width, collides in ((0.021, False), (0.02 - 1.8 * touched, False), (0.016, True)):
        assert in_collision(poses[:1], panda, cube, width).tolist() == [collides], width
    with pytest.raises(InputError, match=r"must be between 0 and 0\.08 m"):
        in_collision(poses, panda, cube, 0.09)


@BOTH
def test_a_finger_fits_into_a_hollow_object(panda: Gripper, protocol: Protocol) -> None:
    # A square tube with four walls: one finger fits inside, although that is inside the hull.
    walls = [
        trimesh.creation.box((0.004, 0.1, 0.1), trimesh.transformations.translation_matrix(at))
        for at in ([0.048, 0, 0], [-0.048, 0, 0])
    ] + [
        trimesh.creation.box((0.1, 0.004, 0.1), trimesh.transformations.translation_matrix(at))
        for at in ([0, 0.048, 0], [0, -0.048, 0])
    ]
    whole = trimesh.util.concatenate(walls)
    parts = tuple((np.array(w.vertices), np.array(w.faces, dtype=np.int64)) for w in walls)
    obj = Object.from_mesh(np.array(whole.vertices), np.array(whole.faces), parts=parts)
    pose = _turned(Rotation.from_euler("x", 180, degrees=True), (0.048, 0.0, 0.042))
    trials = simulate(obj, panda, pose[None], Conditions(mass=0.1), protocol=protocol)
    assert trials.failure.tolist() == [""]
    assert trials.width[0] == pytest.approx(0.004, abs=5e-4)
    solid = convex(trimesh.convex.convex_hull(whole))
    trials = simulate(solid, panda, pose[None], Conditions(mass=0.1), protocol=protocol)
    assert trials.failure.tolist() == ["collision"]


def _candidates(count: int) -> np.ndarray:
    """Poses around a box of 3 x 5 x 7 cm, good and bad."""
    rng = np.random.default_rng(5)
    points = rng.uniform(-1, 1, (count, 3)) * [0.012, 0.022, 0.032]
    return np.stack(
        [
            _turned(Rotation.from_euler("zyx", turn), tuple(point))
            for turn, point in zip(rng.normal(0, 0.5, (count, 3)), points, strict=True)
        ]
    )


def _here_and_there(panda: Gripper, protocol: Protocol, poses: np.ndarray) -> tuple[Trials, Trials]:
    """Outcomes for a box, and for the same box and grasps in another place."""
    obj = box(0.03, 0.05, 0.07)
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", [0.3, -1.2, 2.0]).as_matrix()
    move[:3, 3] = [0.4, -0.7, 0.2]
    vertices = obj.vertices @ move[:3, :3].T + move[:3, 3]
    moved = Object.from_mesh(vertices, obj.faces, parts=((vertices, obj.faces),))
    here = simulate(obj, panda, poses, protocol=protocol)
    return here, simulate(moved, panda, move @ poses, protocol=protocol)


def test_moving_object_and_grasps_together_changes_nothing(panda: Gripper) -> None:
    here, there = _here_and_there(panda, PROTOCOLS["2"], _candidates(12))
    assert len(set(here.failure)) > 1
    assert here.failure.tolist() == there.failure.tolist()


@BOTH
def test_moving_decides_about_few_of_many_grasps(panda: Gripper, protocol: Protocol) -> None:
    """MuJoCo chooses contact points on flat faces in a frame that it computes for each mesh."""
    here, there = _here_and_there(panda, protocol, _candidates(100))
    held = here.success & there.success
    assert held.sum() > 10
    other = here.failure != there.failure
    wider = held & (np.abs(here.width - there.width) > 2e-4)
    assert (other | wider).sum() <= 2
    if protocol.version == "2":
        assert not wider.any()


@BOTH
def test_a_half_turn_of_the_gripper_changes_nothing(panda: Gripper, protocol: Protocol) -> None:
    # With gravity and shaking only along and around z and x, a hand turned about z sees the mirror
    # image.
    motions = (
        Motion("along", "closing", 10.0, 0.2, (0.0, 0.0, 1.0)),
        Motion("around", "approach", 20.0, 0.2, (0.0, 0.0, -1.0)),
    )
    protocol = dataclasses.replace(protocol, motions=motions)
    poses = _candidates(12)
    turned = poses @ np.diag([-1.0, -1.0, 1.0, 1.0])
    obj = box(0.03, 0.05, 0.07)
    one = simulate(obj, panda, poses, protocol=protocol)
    other = simulate(obj, panda, turned, protocol=protocol)
    assert one.success.tolist() == other.success.tolist()


def test_the_outcome_depends_on_neither_order_nor_number_of_processes(panda: Gripper) -> None:
    poses = _candidates(110)
    obj = box(0.03, 0.05, 0.07)
    done: list[int] = []
    apart = simulate(obj, panda, poses, workers=2, progress=done.append)
    assert sum(done) == len(poses)
    assert len(done) > 1
    order = np.random.default_rng(0).permutation(len(poses))[:30]
    alone = simulate(obj, panda, poses[order])
    assert apart.failure[order].tolist() == alone.failure.tolist()
    assert apart.width[order].tolist() == alone.width.tolist()  # to the last bit


def test_a_long_name_of_a_failure_is_not_cut(
    panda: Gripper, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a name of more than nine letters"
    monkeypatch.setattr(World, "trial", lambda self, pose: Outcome(name, 0.0))  # type: ignore[arg-type]
    assert simulate(box(0.03, 0.03, 0.03), panda, hold()[None]).failure.tolist() == [name]


def test_no_grasps(panda: Gripper) -> None:
    trials = simulate(box(0.03, 0.03, 0.03), panda, np.zeros((0, 4, 4)))
    assert len(trials.success) == len(trials.failure) == len(trials.width) == 0
    assert in_collision(np.zeros((0, 4, 4)), panda, box(0.03, 0.03, 0.03)).shape == (0,)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mass": 0.0}, "the mass must be a number above 0, got 0.0"),
        ({"mass": np.inf}, "the mass must be a number above 0, got inf"),
        ({"density": -1.0}, "the density must be a number above 0, got -1.0"),
        ({"friction": np.nan}, "the friction must be a number above 0, got nan"),
        ({"mass": 1e300}, r"the mass must be at most 10000 kg, got 1e\+300"),
        ({"density": 1e6}, r"the density must be at most 100000 kg/m³, got 1e\+06"),
        ({"friction": 101.0}, "the friction must be at most 100, got 101"),
    ],
)
def test_conditions_out_of_range(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Conditions(**options)


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (0, "physics needs at least 1 worker, got 0"),
        (4 * cores() + 1, "physics accepts at most .* workers, 4 for each CPU core, got"),
    ],
)
def test_wrong_numbers_of_workers(panda: Gripper, count: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        simulate(box(0.03, 0.03, 0.03), panda, hold()[None], workers=count)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ((0, 0, np.nan), "the pose of grasp 1 has a number that is not finite"),
        ((0, 0, 1 + 2e-4), "the rotation of grasp 1 is not orthonormal"),
        ((2, 2, -1.0), "the rotation of grasp 1 is a reflection"),
        ((3, 0, 0.5), "the last row of the pose of grasp 1 must be 0 0 0 1"),
    ],
)
def test_poses_that_are_not_rigid(
    panda: Gripper, entry: tuple[int, int, float], sentence: str
) -> None:
    """Physics refuses the same poses as grasp files do."""
    poses = np.stack([hold(), hold()])
    row, column, value = entry
    poses[1, row, column] = value
    cube = box(0.03, 0.03, 0.03)
    with pytest.raises(InputError, match=sentence):
        simulate(cube, panda, poses)
    with pytest.raises(InputError, match=sentence):
        in_collision(poses, panda, cube)


@pytest.mark.parametrize("distance", [101.0, 1e300])
def test_poses_far_from_the_object(panda: Gripper, distance: float) -> None:
    """MuJoCo would report them on standard error and in a file in the current folder."""
    poses = np.stack([hold(), hold((0.0, distance, 0.0))])
    cube, sentence = box(0.03, 0.03, 0.03), r"grasp 1 is 1.* m from the object, expected at most"
    with pytest.raises(InputError, match=sentence):
        simulate(cube, panda, poses)
    with pytest.raises(InputError, match=sentence):
        in_collision(poses, panda, cube)
    far = np.array([0.0, 0.0, distance])
    poses = np.stack([hold((0.0, 0.0, 99.0))])
    assert simulate(box(0.03, 0.03, 0.03), panda, poses).failure.tolist() == ["missed"]
    if distance < 1e3:  # near the object, but far from the origin
        moved = trimesh.creation.box((0.03, 0.03, 0.03)).apply_translation(far)
        assert simulate(convex(moved), panda, hold((0.0, 0.0, distance))[None]).success.all()


def test_an_object_too_large_to_simulate(panda: Gripper) -> None:
    mass = f"{1000 * PROTOCOL.density:.0f}"
    with pytest.raises(InputError, match=f"the mass must be at most 10000 kg, got {mass}"):
        simulate(box(10.0, 10.0, 10.0), panda, hold()[None])


def test_a_point_cloud_is_refused(panda: Gripper) -> None:
    points = np.random.default_rng(0).normal(0, 0.03, (200, 3))
    with pytest.raises(InputError, match="is a point cloud, but physics needs a mesh"):
        simulate(Object.from_points(points), panda, hold()[None])


def test_a_flat_object_is_refused(panda: Gripper) -> None:
    square = np.array([[0, 0, 0], [0.05, 0, 0], [0.05, 0.05, 0], [0, 0.05, 0.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    obj = Object.from_mesh(square, faces, name="leaf", parts=((square, faces),))
    with pytest.raises(InputError, match="leaf has no volume, but physics needs a solid object"):
        simulate(obj, panda, hold()[None])

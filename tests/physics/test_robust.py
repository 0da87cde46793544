"""Robust success against hand-computed mechanics, and draws against models that are built anew."""

from __future__ import annotations

import dataclasses
import hashlib
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Gripper
from grasp.physics import PROTOCOL, Conditions, Protocol, processes
from grasp.physics.body import rigid_body
from grasp.physics.model import build
from grasp.physics.robust import simulate_drawn, simulate_robust
from grasp.physics.trial import World
from grasp.physics.uncertainty import FILE, Draw, Uncertainty, load_uncertainty
from pcdiff.errors import InputError
from tests.physics.conftest import BOTH, box, hanging, hold

ZERO = np.zeros(3)
NOTHING = Draw(PROTOCOL.friction, 1.0, 1.0, 1.0, 1.0, ZERO, ZERO, ZERO)
ONE = (1.0, 1.0)
CERTAIN = Uncertainty("certain", 4, 0, (0.5, 0.5), ONE, ONE, ONE, ONE, 0.0, 0.0, 0.0)

CUBE = box(0.03, 0.03, 0.03)


def world(gripper: Gripper, protocol: Protocol = PROTOCOL) -> World:
    body = rigid_body(CUBE, CUBE.parts or (), 0.2, 300.0)
    return World(body, gripper, protocol.friction, protocol)


@BOTH
def test_a_draw_makes_the_same_model_as_building_it(panda: Gripper, protocol: Protocol) -> None:
    draw = dataclasses.replace(NOTHING, friction=0.4, creep=3.0, softness=1.5, mass=2.0, force=0.5)
    changed = world(panda, protocol)
    changed.apply(dataclasses.replace(NOTHING, mass=0.3, creep=7.0))  # must leave no trace
    changed.apply(draw)
    drawn = dataclasses.replace(
        protocol,
        friction_impedance_ratio=3.0 * protocol.friction_impedance_ratio,
        force=0.5 * protocol.finger_force(panda.max_force),
    )
    built, _ = build(rigid_body(CUBE, CUBE.parts or (), 0.4, 300.0), panda, 0.4, drawn)
    assert changed.model.opt.impratio == pytest.approx(built.opt.impratio, rel=1e-12)
    for name in (
        "geom_friction", "actuator_gainprm", "dof_damping", "body_mass", "body_inertia",
        "body_ipos", "body_invweight0", "dof_invweight0", "body_subtreemass",
    ):  # fmt: skip
        np.testing.assert_allclose(
            getattr(changed.model, name), getattr(built, name), rtol=1e-9, atol=1e-15, err_msg=name
        )
    # The gear that couples the fingers keeps its own time constant.
    np.testing.assert_allclose(changed.model.geom_solref[:, 0], 1.5 * protocol.time_constant)
    assert (changed.model.eq_solref[:, 0] == protocol.time_constant).all()


def test_a_draw_without_errors_changes_no_outcome(panda: Gripper) -> None:
    pose = hold((0.001, 0.004, 0.002))
    plain, drawn = world(panda), world(panda)
    drawn.apply(NOTHING)
    assert drawn.trial(pose) == plain.trial(pose)


def test_a_shift_of_the_centre_makes_the_same_model_as_building_it(panda: Gripper) -> None:
    whole, rest = box(0.03, 0.02, 0.05), box(0.01, 0.06, 0.02)
    body = rigid_body(whole, [*(whole.parts or ()), *(rest.parts or ())], 0.2, 300.0)
    # Unequal moments around oblique axes make the inertial frame differ from the object's.
    turn = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    body = dataclasses.replace(body, inertia=turn @ np.diag([1e-5, 2e-5, 2.5e-5]) @ turn.T)
    moved = World(body, panda, PROTOCOL.friction, PROTOCOL)
    moved.apply(dataclasses.replace(NOTHING, centre=np.array([0.1, -0.2, 0.3])))
    shift = np.array([0.03, 0.06, 0.05]) * [0.1, -0.2, 0.3]
    centre = dataclasses.replace(body, centre=body.centre + shift)
    built = World(centre, panda, PROTOCOL.friction, PROTOCOL)
    for name in ("geom_pos", "geom_quat", "bvh_aabb", "body_ipos", "body_iquat", "body_inertia"):
        np.testing.assert_allclose(
            getattr(moved.model, name), getattr(built.model, name), atol=1e-9, err_msg=name
        )
    for each in (moved, built):
        each.place(hold(), 0.08)
    np.testing.assert_allclose(moved.data.qpos, built.data.qpos, atol=1e-12)
    moved.apply(NOTHING)
    plain = World(body, panda, PROTOCOL.friction, PROTOCOL)
    np.testing.assert_array_equal(moved.model.geom_pos, plain.model.geom_pos)
    np.testing.assert_array_equal(moved.model.bvh_aabb, plain.model.bvh_aabb)
    np.testing.assert_array_equal(moved.model.geom_sameframe, plain.model.geom_sameframe)


def test_the_hand_errs_about_its_tool_centre_point(panda: Gripper) -> None:
    shift, turn = np.array([0.003, -0.002, 0.001]), np.array([0.1, -0.2, 0.05])
    erring = world(panda)
    erring.apply(dataclasses.replace(NOTHING, translation=shift, rotation=turn))
    erring.place(hold(), 0.08)
    start = erring.at.object_position
    # The pose of the object in the erring hand is the inverse of the hand's error.
    rotation = Rotation.from_rotvec(turn)
    tcp = np.array(panda.tool_center_point)
    expected = rotation.inv().apply(-shift) + tcp
    np.testing.assert_allclose(erring.data.qpos[start : start + 3], expected, atol=1e-12)
    w, *xyz = erring.data.qpos[start + 3 : start + 7]
    found = Rotation.from_quat([*xyz, w])
    assert (found * rotation).magnitude() < 1e-9


@BOTH
def test_a_draw_succeeds_if_friction_bears_the_weight(panda: Gripper, protocol: Protocol) -> None:
    uncertain = dataclasses.replace(
        CERTAIN, count=16, friction=(0.2, 1.0), mass=(0.5, 2.0), force=(0.5, 1.0)
    )
    force = protocol.finger_force(panda.max_force)
    mass = 2 * 0.5 * force / protocol.gravity  # the limit at friction 0.5
    trials = simulate_robust(
        CUBE, panda, hold()[None], Conditions(mass=mass),
        uncertainty=uncertain, protocol=hanging(protocol, 0.5),
    )  # fmt: skip
    # Coulomb: two pads bear at most 2·μ·F.
    load = np.array([0.5 * draw.mass / (draw.friction * draw.force) for draw in uncertain.draws()])
    clear = np.abs(np.log(load)) > 0.1
    assert clear.sum() >= 12 and 3 <= (load < 1).sum() <= 13
    np.testing.assert_array_equal((trials.failure[0] == "")[clear], (load < 1)[clear])
    assert trials.success[0] == (trials.failure[0] == "").mean()
    assert trials.robust[0] == (trials.success[0] >= 0.5)


def test_processes_and_neighbours_change_no_outcome(panda: Gripper) -> None:
    rng = np.random.default_rng(0)
    poses = np.stack([hold(tuple(rng.normal(0, 0.02, 3))) for _ in range(14)])
    uncertain = dataclasses.replace(load_uncertainty(), count=3)
    alone = simulate_robust(CUBE, panda, poses, uncertainty=uncertain)
    with processes(2) as pool:
        shared = simulate_robust(CUBE, panda, poses[::-1], uncertainty=uncertain, pool=pool)
    np.testing.assert_array_equal(alone.failure, shared.failure[::-1])
    assert 0 < alone.success.mean() < 1


def test_a_single_draw_per_grasp_is_one_of_the_robust_trials(panda: Gripper) -> None:
    """Grasp i meets draw i, so its outcome is on the diagonal of all trials under all draws."""
    poses = np.stack([hold((0.0, y, 0.004)) for y in np.linspace(-0.02, 0.02, 12)])
    given = Conditions(mass=0.3)
    drawn = simulate_drawn(CUBE, panda, poses, 3, given)
    every = dataclasses.replace(load_uncertainty(), count=12, seed=3)
    robust = simulate_robust(CUBE, panda, poses, given, uncertainty=every)
    assert drawn.failure.tolist() == np.diagonal(robust.failure).tolist()
    assert drawn.success.any() and not drawn.success.all()
    assert drawn.friction is None and drawn.mass == 0.3
    other = simulate_drawn(CUBE, panda, poses[:0], 3, given)
    assert len(other.success) == len(other.width) == 0
    with pytest.raises(InputError, match="robust success draws the friction, so it takes none"):
        simulate_drawn(CUBE, panda, poses, 3, Conditions(friction=0.5))


def test_draws_have_the_stated_distributions() -> None:
    uncertain = dataclasses.replace(load_uncertainty(), count=1024, seed=3)
    draws = uncertain.draws()
    for name in ("friction", "force"):
        low, high = getattr(uncertain, name)
        values = np.array([getattr(draw, name) for draw in draws])
        assert low <= values.min() and values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, rel=1e-3)
        assert values.std() == pytest.approx((high - low) / math.sqrt(12), rel=1e-2)
    for name in ("creep", "softness", "mass"):
        low, high = np.log(getattr(uncertain, name))
        values = np.log([getattr(draw, name) for draw in draws])
        assert low <= values.min() and values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=1e-3)
        assert values.std() == pytest.approx((high - low) / math.sqrt(12), rel=1e-2)
    for name in ("centre", "translation", "rotation"):
        values = np.array([getattr(draw, name) for draw in draws])
        deviation = getattr(uncertain, name)
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=0.01 * deviation)
        np.testing.assert_allclose(values.std(axis=0), deviation, rtol=0.02)
    again, other = uncertain.draws(), dataclasses.replace(uncertain, seed=4).draws()
    assert all(np.array_equal(a.rotation, b.rotation) for a, b in zip(draws, again, strict=True))
    assert not np.array_equal(draws[0].rotation, other[0].rotation)


def test_version_1_has_not_changed() -> None:
    """Published figures of robust success rest on these draws."""
    digest = hashlib.sha256(FILE.read_text(encoding="utf-8").encode()).hexdigest()
    assert digest.startswith("cdd922afd873f274")


def test_friction_cannot_be_given_and_drawn(panda: Gripper) -> None:
    with pytest.raises(InputError, match=r"draws the friction, so it takes none, got 0\.4"):
        simulate_robust(CUBE, panda, hold()[None], Conditions(friction=0.4))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "1"', "", "the file lacks the required version"),
        ("[creep]", "[crepe]", "the file lacks the required creep"),
        ("low = 0.3", "low = -0.3", r"bounds of friction must be above 0.*got -0\.3 and 0\.65"),
        ("low = 0.3", "low = 3.0", r"in order, got 3 and 0\.65"),
        ("deviation = 2.5", "deviation = -3.0", "deviation of rotation must be finite"),
        ("deviation = 2.5", 'deviation = "3"', "deviation of rotation must be a number"),
        ("draws = 16", "draws = 0", "number of draws must be at least 1, got 0"),
        ("draws = 16", "draws = 1.5", r"draws must be a whole number, got 1\.5"),
        ("seed = 0", "seed = 0\ncolour = 1", "the file has the unknown entry colour"),
        ('source = "rubber', 'origin = "rubber', "friction lacks the required source"),
        ("seed = 0", "seed = -1", "seed of the draws must be at least 0, got -1"),
        ("[mass]", "mass = [", "is not valid TOML"),
    ],
)  # fmt: skip
def test_a_broken_distribution_is_refused(tmp_path, old: str, new: str, message: str) -> None:
    written = FILE.read_text(encoding="utf-8")
    assert old in written
    path = tmp_path / "broken.toml"
    path.write_text(written.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        load_uncertainty(path)
    assert str(path) in str(caught.value)


def test_a_missing_distribution_is_refused(tmp_path) -> None:
    with pytest.raises(
        InputError, match=r"cannot read the uncertainty file: .*none\.toml does not exist"
    ):
        load_uncertainty(tmp_path / "none.toml")

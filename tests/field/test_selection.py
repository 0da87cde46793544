"""Which samples are returned as grasps, on fields with known probabilities."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from trimesh.creation import box

from grasp.costs import ApproachCone, AwayFromPoint, NearPoint
from grasp.field import selection
from grasp.field.conditioned import ConditionedField
from grasp.field.configuration import FieldConfig
from grasp.field.sampling import Sampling
from grasp.field.selection import Selection
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.scenes.scene import Scene
from pcdiff.errors import InputError

PANDA = load_gripper("panda")


def above(x, height=0.1):
    """A hand pointing down, offset by x from the axis of the bar, tool centre point at `height`."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[0, 3], pose[2, 3] = x, height + PANDA.tool_center_point[2]
    return pose


@dataclass(frozen=True, eq=False)
class Known(ConditionedField):
    """A field whose probabilities of success and energies are functions of x."""

    probability: Callable = lambda x: x

    def success_probability(self, poses):
        return self.probability(poses[:, 0, 3])

    def cost(self, poses, noise_level=None):
        return poses[:, 0, 3]


def field_of(sides, probability):
    mesh = box(sides)
    obj = Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces))
    points = obj.surface(4096, np.random.default_rng(0))[0]
    model, nothing = SimpleNamespace(config=FieldConfig(protocol="7")), SimpleNamespace()
    return Known(model, nothing, obj, PANDA, points, None, probability)


@pytest.fixture
def bar():
    """A bar of 3 x 4 x 20 cm. The probability of success grows along x: 0.5 + 10 x."""
    return field_of((0.03, 0.04, 0.2), lambda x: 0.5 + 10 * x)


def select(field, poses, count, how, constraints=(), scene=None):
    known = field.assess(poses, constraints, scene)
    order = selection.select(known, count, how, PANDA.tool_center_point)
    return field.chosen(known, order, count, how)


def samples(*offsets, height=0.08):
    return torch.tensor(np.stack([above(x, height) for x in offsets]), dtype=torch.float32)


def test_the_likeliest_come_first_and_unlikely_ones_are_left_out(bar):
    how = Selection(least_probability=0.5)
    found = select(bar, samples(0.0, 0.02, -0.04, 0.01), 10, how)
    np.testing.assert_allclose(found.success_probability, [0.7, 0.6, 0.5], atol=1e-6)
    np.testing.assert_allclose(found.energy, [0.02, 0.01, 0.0], atol=1e-6)
    np.testing.assert_allclose(found.poses[:, 0, 3], [0.02, 0.01, 0.0], atol=1e-6)
    assert found.reason is not None
    assert found.reason.startswith(
        "3 of 4 samples have a probability of success of at least 0.5 under protocol 7"
    )
    assert len(select(bar, samples(0.0, 0.02, 0.01), 2, how)) == 2


def test_a_diverse_subset_of_the_likely_ones_is_returned(bar):
    """The best, the farthest from it, then the middle; their close neighbours are left out."""
    found = select(
        bar,
        samples(-0.018, 0.0, -0.02, 0.018, 0.02, 0.001),
        3,
        Selection(likely=0.3, least_probability=0.2),
    )
    np.testing.assert_allclose(found.poses[:, 0, 3], [0.02, 0.0, -0.02], atol=2e-3)
    assert found.reason is None
    # If none counts as likely, the three likeliest are returned.
    found = select(bar, samples(-0.018, 0.0, -0.02, 0.018, 0.02, 0.001), 3, Selection(likely=0.9))
    np.testing.assert_allclose(found.poses[:, 0, 3], [0.02, 0.018, 0.001], atol=1e-6)


def test_collisions_and_widths_are_those_of_the_hand_at_the_bar(bar):
    # The bar is 3 cm wide, so fingers 4 cm from the hand's axis hit it from an offset of 2.5 cm on.
    found = select(bar, samples(0.03, 0.0), 2, Selection())
    assert found.in_collision is not None and found.width is not None
    assert found.in_collision.tolist() == [False, True]
    assert found.width[0] == pytest.approx(0.03, abs=1e-6)
    assert found.reason is None


def test_grasps_that_hit_the_object_come_last_and_never_alone(bar):
    found = select(bar, samples(0.03, 0.0), 2, Selection())
    np.testing.assert_allclose(found.poses[:, 0, 3], [0.0, 0.03], atol=1e-6)
    found = select(bar, samples(0.03, 0.035), 2, Selection())
    assert not len(found)
    assert found.reason is not None and "of 2 samples, 2 have a probability" in found.reason
    assert "0 have no collision of the open hand with the object" in found.reason


def test_grasps_that_hit_the_scene_come_last(bar):
    table = np.eye(4)
    table[2, 3] = 0.065
    poses = torch.cat([samples(0.02, height=0.07), samples(0.0)])
    assert select(bar, poses, 2, Selection()).poses[0, 0, 3] == pytest.approx(0.02)
    found = select(bar, poses, 2, Selection(), scene=Scene(T_world_table=table))
    assert found.poses[0, 0, 3] == 0.0
    assert found.in_collision is not None and found.in_collision.tolist() == [False, True]
    assert found.reason is None
    table[2, 3] = 0.3
    found = select(bar, poses, 2, Selection(), scene=Scene(T_world_table=table))
    assert len(found) == 2
    assert found.reason == (
        "the open hand of every returned grasp collides with the scene, as it does in 2 of 2 "
        "samples: check the pose of the object in the scene, or draw more samples per grasp"
    )
    assert found.remedies == ("scene", "oversampling")


def test_samples_assessed_in_parts_equal_samples_assessed_together(bar):
    table = np.eye(4)
    table[2, 3] = 0.065
    poses = torch.cat([samples(0.02, 0.03, height=0.07), samples(0.0, 0.01)])
    near = NearPoint(np.array([0.01, 0.0, 0.08]), 0.015, PANDA, sigma=0.01)
    given = bar.assess(poses, [near], Scene(T_world_table=table))
    parts = [bar.assess(part, [near], Scene(T_world_table=table)) for part in poses.split([1, 3])]
    for whole, joined in zip(given, parts[0].joined(parts[1]), strict=True):
        np.testing.assert_array_equal(whole, joined)


def test_a_refusal_states_the_size_of_object_and_gripper():
    found = field_of((0.2, 0.25, 0.3), lambda x: x).refusal()
    assert not len(found)
    assert found.reason == (
        "the object has no pair of opposite places within the stroke of the gripper: the object is "
        "200 mm wide at its narrowest, and panda opens 80 mm; no shipped gripper opens wide enough "
        "(the widest, robotiq_2f_140, opens 140 mm); to get more grasps, state the unit or scale "
        "if the object is smaller"
    )
    assert found.remedies == ("unit", "scale")


def test_a_refusal_names_a_gripper_that_opens_wide_enough():
    """82 mm is between the strokes of panda, 80 mm, and robotiq_2f_85, 85 mm."""
    for side, name, opens in ((0.082, "robotiq_2f_85", 85), (0.1, "robotiq_2f_140", 140)):
        found = field_of((side, 0.25, 0.3), lambda x: x).refusal()
        assert f"the gripper {name} opens wide enough, {opens} mm" in found.reason
        assert f"to get more grasps, use {name}, or state the unit" in found.reason
        assert found.remedies == ("gripper", "unit", "scale")


def test_only_the_best_of_near_duplicates_is_returned(bar):
    found = select(bar, samples(0.0, 0.004, 0.02), 3, Selection(apart=(0.01, 0.1)))
    np.testing.assert_allclose(found.poses[:, 0, 3], [0.02, 0.004], atol=1e-6)


def test_nearness_is_measured_at_the_tool_centre_point(bar):
    """Tilting the hand by 0.2 rad about that point moves its base by 2 cm."""
    tilt, about = np.eye(4), np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    about[:3, 3] = PANDA.tool_center_point
    tilted = above(0.01, 0.08) @ about @ tilt @ np.linalg.inv(about)
    assert np.linalg.norm(tilted[:3, 3] - above(0.01, 0.08)[:3, 3]) > 0.02
    poses = torch.tensor(np.stack([above(0.01, 0.08), tilted]), dtype=torch.float32)
    assert len(select(bar, poses, 2, Selection(apart=(0.001, 0.25)))) == 1
    assert len(select(bar, poses, 2, Selection(apart=(0.001, 0.15)))) == 2


def test_a_constraint_must_be_met(bar):
    here = NearPoint(np.array([0.0, 0.0, 0.08]), 0.005, PANDA, sigma=0.01)
    found = select(bar, samples(0.0, 0.02), 2, Selection(), [here])
    assert found.poses[:, 0, 3].tolist() == [0.0]
    found = select(bar, samples(0.02, 0.03), 2, Selection(), [here])
    assert not len(found)
    assert found.reason == (
        "none of 2 samples satisfies the constraints: the region within 0.005 m of (0, 0, 0.08) "
        "excludes 2 of 2 samples; to get more grasps, relax a constraint, or draw more samples per "
        "grasp"
    )
    assert found.remedies == ("region", "oversampling")


def test_a_reason_tells_which_constraint_excludes_how_many(bar):
    here = NearPoint(np.array([0.0, 0.0, 0.08]), 0.015, PANDA, sigma=0.01)
    away = AwayFromPoint(np.array([0.0, 0.0, 0.08]), 0.005, PANDA, sigma=0.01)
    cone = ApproachCone(np.array([0.0, 0.0, -1.0]), 0.1, sigma=0.1)
    poses = samples(0.0, 0.01, 0.02, 0.03)
    found = select(bar, poses, 3, Selection(least_probability=0.1), [here, away, cone])
    np.testing.assert_allclose(found.poses[:, 0, 3], [0.01], atol=1e-6)
    assert found.reason == (
        "1 of 4 samples have a probability of success of at least 0.1 under protocol 7; the region "
        "within 0.015 m of (0, 0, 0.08) excludes 2 of 4 samples, the avoided ball within 0.005 m "
        "of (0, 0, 0.08) excludes 1 of 4 samples; to get more grasps, draw more samples per grasp, "
        "lower the least probability, or relax a constraint"
    )
    assert found.remedies == ("oversampling", "least_probability", "region", "avoid")
    nothing = [cone, dataclasses.replace(here, radius=0.001), away]
    found = select(bar, poses, 3, Selection(), nothing)
    assert found.reason is not None and found.reason.startswith(
        "none of 4 samples satisfies the constraints: the region within 0.001 m of (0, 0, 0.08) "
        "excludes 3 of 4 samples, the avoided ball within 0.005 m of (0, 0, 0.08) excludes 1 of 4"
    )


def test_a_reason_names_the_settings_that_help(bar):
    """Unlikely grasps: a lower least probability or another mass; thinned ones: no thinning."""
    found = select(bar, samples(0.0, 0.012), 5, Selection(least_probability=0.7))
    assert not len(found) and found.reason is not None
    assert "accept a least probability of 0.62" in found.reason  # 0.5 + 10 x
    assert "state the mass if the object is lighter" in found.reason
    assert found.remedies == ("oversampling", "least_probability", "mass")
    found = select(bar, samples(0.0, 0.004), 5, Selection(apart=(0.01, 0.1), least_probability=0.0))
    assert found.reason is not None and "keep grasps that are close to each other" in found.reason
    assert found.remedies == ("oversampling", "thin")


def test_an_empty_result_states_the_reason():
    crate = field_of((0.2, 0.3, 0.25), lambda x: torch.full_like(x, 0.1))
    how = Selection(least_probability=0.5)
    found = select(crate, samples(0.0, 0.01, height=0.05), 5, how)
    assert not len(found) and found.energy is not None and len(found.energy) == 0
    assert found.reason == (
        "no grasp is likely to succeed: of 2 samples, 0 have a probability of success of at least "
        "0.5 under protocol 7 (the highest is 0.10) and 0 have no collision of the open hand with "
        "the object, but no sample has both properties; the object weighs 4.5 kg at 300 kg/m³; the "
        "object is 200 mm wide at its narrowest, and panda opens 80 mm; no shipped gripper opens "
        "wide enough (the widest, robotiq_2f_140, opens 140 mm); to get more grasps, draw more "
        "samples per grasp, state the mass if the object is lighter, or state the unit or scale if "
        "the object is smaller"
    )
    assert found.remedies == ("oversampling", "mass", "unit", "scale")


@pytest.mark.parametrize(
    ("record", "given", "sentence"),
    [
        (Sampling, {"temperature": 0.0}, "temperature must be 0.01 to 100, got 0.0"),
        (Selection, {"oversampling": 0.5}, "oversampling must be 1 to 100, got 0.5"),
        (Selection, {"least_probability": 1.5}, "least_probability must be a probability .* 1.5"),
        (Selection, {"likely": -0.1}, "likely must be a probability of success, 0 to 1, got -0.1"),
    ],
)
def test_settings_out_of_range_are_refused(record, given, sentence):
    with pytest.raises(InputError, match=sentence):
        record(**given)

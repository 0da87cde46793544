"""The parts of the studies of a field that decide their figures, against slow references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trimesh import Trimesh
from trimesh.creation import box

from experiments import field_search
from experiments.agreement import area_under_curve
from experiments.field_cost import RADIUS, Figures, descended, random_poses, summary
from experiments.field_refusals import enlarged
from experiments.field_table import LOW, cases
from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from pcdiff.manifolds import so3

TINY = FieldConfig(energy=NetworkConfig(16, 1, 4), success=NetworkConfig(8, 1, 4))


def a_box(*sides):
    made = box(sides)
    part = (np.array(made.vertices), np.array(made.faces))
    return Object.from_mesh(*part, parts=(part,))


@pytest.fixture(scope="module")
def field():
    return GraspField.initialized(TINY, 0).eval().condition(a_box(0.04, 0.05, 0.06))


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    score, held = rng.integers(6, size=40).astype(float), rng.uniform(size=40) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a in score[held] for b in score[~held]]
    assert area_under_curve(score, held) == pytest.approx(np.mean(pairs))


def test_random_poses_are_uniform_in_the_ball(field):
    """The cube of the distance over the radius is uniform, and the mean rotation is 0."""
    poses = random_poses(field, 4000, 1).double()
    offset = torch.tensor(field.gripper.tool_center_point, dtype=torch.float64)
    tool = poses[:, :3, 3] + poses[:, :3, :3] @ offset
    share = ((tool - field.centre).norm(dim=1) / RADIUS) ** 3
    assert share.max() <= 1 + 1e-5
    ordered = np.sort(share.numpy())
    assert np.abs(ordered - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / np.sqrt(4000)
    assert poses[:, :3, :3].mean(dim=0).abs().max() < 4 / np.sqrt(3 * 4000)


def test_the_descent_finds_the_minimum_of_a_quadratic_cost(field, monkeypatch):
    """A cost with its minimum at a known pose, 20 cm and up to π away from the starts."""
    goal = torch.eye(4)
    goal[:3, 3] = torch.tensor([0.02, -0.01, -0.1])

    def cost_and_gradient(self, poses, sigma):
        turn = so3.log(goal[:3, :3].mT @ poses[:, :3, :3])
        move = poses[:, :3, :3].mT @ (poses[:, :3, 3] - goal[:3, 3])[..., None]
        # d/dv of half the squared distance, in metres for the place and radians for the rotation.
        return None, torch.cat([move[..., 0] / 0.01, turn], dim=1)

    monkeypatch.setattr(type(field), "cost_and_gradient", cost_and_gradient)
    ends = descended(field, random_poses(field, 50, 1))
    assert (ends[:, :3, 3] - goal[:3, 3]).norm(dim=1).max() < 0.005


def test_the_summary_counts_grasps_and_poses_over_all_objects():
    one = Figures(
        np.array([True, False]), np.array([0.0, 0.1]), np.array([0.0, 0.2]), np.array([0.1, 0.3]),
        np.array([-1.0, 2.0]), np.array([True, False]), np.array([True] * 3),
    )  # fmt: skip
    other = Figures(
        np.array([False, False]), np.array([0.3]), np.array([0.0]), np.array([0.2]),
        np.array([5.0]), np.array([True]), np.array([False]),
    )  # fmt: skip
    found = summary([one, other])
    assert (found["starts"], found["far"]) == (4, 0.25)
    assert (found["free_poses"], found["unlikely"]) == (4, 0.75)
    assert (found["half_turn"], found["half_turn_probability"]) == (0.3, 0.2)
    assert found["new_points"] == pytest.approx(0.2)
    assert (found["area_single"], found["area_pooled"]) == (1.0, 0.5)


def test_an_enlarged_object_has_the_cube_of_the_factor_in_volume():
    obj = a_box(0.02, 0.03, 0.05)
    large = enlarged(obj, 4)
    np.testing.assert_allclose(large.extent, 4 * obj.extent)
    np.testing.assert_allclose(large.parts[0][0], 4 * obj.parts[0][0])
    volume = Trimesh(large.vertices, large.faces).volume
    assert volume == pytest.approx(64 * 0.02 * 0.03 * 0.05)


def test_things_on_a_table_touch_it_and_lie_low():
    obj, mass, scene = next(cases())
    up, height = scene.T_world_table[:3, 2], scene.T_world_table[:3, 3]
    heights = (obj.vertices - height) @ up
    assert heights.min() == pytest.approx(0, abs=1e-6) and heights.max() < LOW and mass > 0


def test_the_search_keeps_what_survives(monkeypatch):
    """With outcomes that depend on the pose alone, all of the best succeed."""
    hand, obj = load_gripper("panda"), a_box(0.04, 0.05, 0.06)

    def held(obj, hand, turn, chunk):
        return chunk[0][:, 2, 3] > 0.05

    monkeypatch.setattr(field_search, "_held", held)
    best = field_search.search(obj, hand, 400, None)
    assert len(best) == 20 and (best[:, 2, 3] > 0.05).all()
    monkeypatch.setattr(field_search, "_held", lambda obj, hand, turn, chunk: chunk[0][:, 0, 0] > 2)
    assert not len(field_search.search(obj, hand, 400, None))

"""The half turn of a parallel jaw: probes, features, and networks that do not feel it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trimesh.creation import annulus

from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig, features
from grasp.field.networks.half_turn import HalfTurn, turned
from grasp.field.networks.probes import ALL, half_turned, probes
from grasp.field.surfaces import surface_of
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.poses.frames import rotation_about_z

HANDS = ["panda", "robotiq_2f_85", "robotiq_2f_140"]
FEW, MANY = NetworkConfig(24, 2, 6, few_probes=True), NetworkConfig(24, 2, 6)
CONFIG = FieldConfig(
    energy=NetworkConfig(24, 2, 6, few_probes=True, symmetric=True),
    success=NetworkConfig(16, 2, 4, symmetric=True),
)


@pytest.fixture(scope="module")
def cup():
    mesh = annulus(0.03, 0.034, 0.07)
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), name="cup")


@pytest.fixture(scope="module")
def poses():
    field = GraspField.initialized(CONFIG, 0)
    stream = torch.Generator().manual_seed(1)
    return field.space.random((1, 200, 4, 4), 0.6, stream, centre=torch.zeros(3))


def test_turned_poses_are_the_poses_times_a_rotation_by_pi(poses):
    expected = poses.double() @ torch.from_numpy(rotation_about_z(np.pi))
    torch.testing.assert_close(turned(poses).double(), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", HANDS)
def test_every_probe_has_a_partner_on_the_other_side(name):
    hand = probes(load_gripper(name))
    partner = half_turned(range(ALL))
    assert sorted(partner) == list(range(ALL))
    opposite = hand.places[0] * torch.tensor([-1.0, -1.0, 1.0])
    torch.testing.assert_close(hand.places[0][partner], opposite, atol=1e-7, rtol=0)
    assert torch.equal(hand.widths[0][partner], hand.widths[0])


@pytest.mark.parametrize("config", [FEW, MANY], ids=["few", "many"])
def test_features_of_a_turned_pose_are_permuted_with_signs(cup, poses, config):
    hand, surface = probes(load_gripper("panda")), surface_of(cup, np.random.default_rng(0))
    spread = torch.full(poses.shape[:2], 0.01)
    here = features(poses, spread, hand, surface, config=config)
    there = features(turned(poses), spread, hand, surface, config=config)
    turn = HalfTurn(config.looks)
    torch.testing.assert_close(turn(here), there, atol=2e-5, rtol=1e-5)
    assert torch.equal(turn(turn(here)), here)
    even, odd = turn.parts(here)
    assert even.shape[-1] + odd.shape[-1] == here.shape[-1]
    even_there, odd_there = turn.parts(turn(here))
    assert torch.equal(even, even_there) and torch.equal(odd, -odd_there)
    # Nothing is lost: the sum of both parts gives one half of each pair, the difference the other.
    halves = [torch.zeros_like(here), torch.zeros_like(here)]
    for half, sign in zip(halves, (1, -1), strict=True):
        half[..., turn.even] += even
        half[..., turn.odd] += sign * odd
    first, second = halves
    pair = turn.partner > torch.arange(len(turn.partner))
    torch.testing.assert_close(first[..., pair], here[..., pair])
    torch.testing.assert_close(second[..., pair], turn(here)[..., pair])


def test_networks_do_not_feel_the_half_turn(cup, poses):
    field = GraspField.initialized(CONFIG, 0).eval().requires_grad_(False).double()
    of_cup = field.condition(cup)
    at = poses[0].double()
    for level in (0.02, 0.3):
        here, there = of_cup.cost(at, level), of_cup.cost(turned(at), level)
        torch.testing.assert_close(there, here, atol=1e-12, rtol=1e-10)
        assert here.std() > 1e-3
    # The gradient turns with the gripper.
    _, here = of_cup.cost_and_gradient(at, 0.1)
    _, there = of_cup.cost_and_gradient(turned(at), 0.1)
    signs = torch.tensor([-1.0, -1.0, 1.0] * 2, dtype=torch.float64)
    torch.testing.assert_close(there, here * signs, atol=1e-10, rtol=1e-8)
    here, there = of_cup.success_probability(at), of_cup.success_probability(turned(at))
    torch.testing.assert_close(there, here, atol=1e-12, rtol=1e-10)


def test_odd_features_can_matter(cup, poses):
    """A symmetric network is not blind to what lies on one side only."""
    field = GraspField.initialized(CONFIG, 0).eval().requires_grad_(False)
    of_cup = field.condition(cup)
    before = of_cup.cost(poses[0], 0.1)
    field.energy.perceptron.odd.weight.zero_()
    assert (of_cup.cost(poses[0], 0.1) - before).abs().max() > 1e-4


def test_scales_of_the_inputs_are_symmetric(cup, poses):
    field = GraspField.initialized(CONFIG, 0)
    condition = field.condition(cup).condition
    field.standardize(poses, condition, torch.Generator().manual_seed(0))
    perceptron = field.energy.perceptron
    turn = perceptron.half_turn
    assert turn is not None
    torch.testing.assert_close(turn(perceptron.mean), perceptron.mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        perceptron.deviation[turn.partner], perceptron.deviation, atol=1e-5, rtol=1e-4
    )


def test_weights_of_the_first_release_stay_as_they_are():
    assert not FieldConfig.from_dict({"energy": {"width": 8}}).energy.symmetric
    assert FieldConfig().energy.symmetric and FieldConfig().success.symmetric

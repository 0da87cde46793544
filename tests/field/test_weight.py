"""The load of an object's weight: in closed form, in physics, and in the success network."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from trimesh.creation import box

from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig
from grasp.field.trained import GraspField
from grasp.field.weight import (
    GRAVITY,
    NEWEST,
    PADS,
    Weight,
    pads_of,
    squared_load,
    weight_of,
)
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, PROTOCOLS, Conditions, simulate
from pcdiff.errors import InputError

PANDA = load_gripper("panda")
OLD = PADS["2"]
CONFIG = FieldConfig(energy=NetworkConfig(16, 1, 4), success=NetworkConfig(8, 1, 4))


def bar(length=0.4, open_ended=False):
    mesh = box((0.03, 0.02, length))
    faces = np.array(mesh.faces)[1:] if open_ended else np.array(mesh.faces)
    return Object.from_mesh(np.array(mesh.vertices) + np.array([1.0, 2.0, 3.0]), faces)


def across(*along):
    """Hands that approach along y and close along x, at distances along z from the bar's middle."""
    pose = np.eye(4)
    pose[:3, 1], pose[:3, 2] = [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]
    poses = np.repeat(pose[None], len(along), 0)
    poses[:, :3, 3] = [1.0, 2.0 - PANDA.tool_center_point[2], 3.0]
    poses[:, 2, 3] += along
    return poses


def test_the_numbers_are_those_of_the_physics_that_labels():
    """The field may not import the physics, so the numbers stand in both places."""
    assert PADS.keys() == PROTOCOLS.keys()
    for version, pads in PADS.items():
        protocol = PROTOCOLS[version]
        assert protocol.density == pads.density
        assert protocol.gravity == GRAVITY
        assert protocol.friction == pads.friction
        assert protocol.force == pads.force
        assert protocol.torsional_friction == pads.patch_radius
    assert PROTOCOL.version == NEWEST
    assert pads_of("unknown") is PADS[NEWEST]


def test_a_hand_presses_with_its_own_force_unless_the_protocol_limits_it():
    weight = Weight(1.0, np.array([1.0, 2.0, 3.0]))
    poses = torch.from_numpy(across(0.1))
    torque = 1.0 * 9.81 * 0.1
    for version, borne in (("2", 2 * 1.0 * 40.0 * 0.01), ("3", 2 * 0.45 * 70.0 * 0.015)):
        found = squared_load(poses, PANDA, weight, PADS[version])
        assert float(found[0]) == pytest.approx((torque / borne) ** 2)


def test_the_load_is_the_torque_of_the_weight_over_what_torsional_friction_bears():
    weight = weight_of(bar(), 500.0)
    assert weight is not None
    assert weight.mass == pytest.approx(500 * 0.03 * 0.02 * 0.4)
    np.testing.assert_allclose(weight.centre, [1.0, 2.0, 3.0], atol=1e-12)
    found = squared_load(torch.from_numpy(across(0.0, 0.1, -0.2)), PANDA, weight, OLD)
    borne = 2 * 1.0 * 40.0 * 0.01
    expected = [0.0, (0.12 * 9.81 * 0.1 / borne) ** 2, (0.12 * 9.81 * 0.2 / borne) ** 2]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_the_weight_of_an_object_without_volume_is_unknown():
    assert weight_of(bar(open_ended=True), 150.0) is None
    cloud = bar().surface(500, np.random.default_rng(0))
    assert weight_of(Object.from_points(*cloud), 150.0) is None
    mesh = bar(open_ended=True)
    known = Object.from_mesh(mesh.vertices, mesh.faces, parts=((bar().vertices, bar().faces),))
    weight = weight_of(known, 1000.0)
    assert weight is not None and weight.mass == pytest.approx(0.24)


def test_physics_drops_an_object_whose_load_is_far_above_one():
    """The same grasp of the same bar, 18 cm from its middle, at loads ρ of 0.1 and 20."""
    held = []
    for load in (0.1, 20.0):
        mass = load * 2 * 40.0 * 1.0 * 0.01 / (GRAVITY * 0.18)
        squared = squared_load(
            torch.from_numpy(across(0.18)), PANDA, Weight(mass, np.array([1.0, 2.0, 3.0])), OLD
        )
        assert float(squared.sqrt()) == pytest.approx(load)
        given = Conditions(mass=mass)
        held += simulate(
            bar(), PANDA, across(0.18), given, protocol=PROTOCOLS["2"]
        ).success.tolist()
    assert held == [True, False]


def test_the_odds_of_success_fall_by_the_power_of_the_load():
    field = GraspField.initialized(CONFIG, 0).eval()
    poses = torch.from_numpy(across(0.0, 0.1, -0.2))
    solid, hollow = field.condition(bar()), field.condition(bar(open_ended=True))
    before = solid.success_probability(poses).detach().logit()
    unknown = hollow.success_probability(poses).detach()
    field.success.load_exponent.data.fill_(3.0)
    after = solid.success_probability(poses).detach().logit()
    weight = weight_of(bar(), PADS[NEWEST].density)
    assert weight is not None
    expected = 1.5 * torch.log(1 + squared_load(poses, PANDA, weight, PADS[NEWEST]))
    assert expected[1] > 0
    torch.testing.assert_close(before - after, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(hollow.success_probability(poses).detach(), unknown)


@pytest.mark.parametrize("mass", [0.0, -1.0, float("nan")])
def test_a_mass_must_be_above_zero(mass):
    with pytest.raises(InputError, match="the mass of an object must be above 0 kg"):
        GraspField.initialized(CONFIG, 0).condition(bar(), mass=mass)


def test_a_given_mass_sets_the_load():
    """It acts at a solid's centre of mass, and at the centre of a cloud's surface."""
    field = GraspField.initialized(CONFIG, 0).eval()
    field.success.load_exponent.data.fill_(2.0)
    poses = torch.from_numpy(across(0.0, 0.1, -0.2))
    assert field.condition(bar(), mass=2.0).weight is not None
    cloud = Object.from_points(*bar().surface(4000, np.random.default_rng(0)))
    for obj in (bar(), cloud):
        heavy = field.condition(obj, mass=2.0)
        weight = heavy.weight
        assert weight is not None and weight.mass == 2.0
        np.testing.assert_allclose(weight.centre, [1.0, 2.0, 3.0], atol=5e-3)
        light = dataclasses.replace(heavy, mass=1e-9)
        lost = light.success_probability(poses).logit() - heavy.success_probability(poses).logit()
        expected = torch.log1p(squared_load(poses, PANDA, weight, PADS[NEWEST]))
        torch.testing.assert_close(lost.detach(), expected, atol=1e-4, rtol=0)

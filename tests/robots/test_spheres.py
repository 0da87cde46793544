"""The spheres around an arm: they cover what they stand for, and tell where an arm meets itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grasp.grippers.gripper import load_gripper
from grasp.robots import load_robot, shipped_robots
from grasp.robots.spheres import covered, gripper_spheres


@pytest.mark.parametrize("sides", [(0.1, 0.1, 0.1), (0.3, 0.02, 0.05), (0.4, 0.4, 0.001)])
def test_spheres_cover_a_box_without_growing_much(sides):
    rng = np.random.default_rng(0)
    lower = np.array([0.1, -0.2, 0.3])
    points = lower + rng.uniform(size=(5000, 3)) * sides
    centres, radii = covered(lower, lower + sides)
    depth = radii - np.linalg.norm(points[:, None] - centres, axis=-1)
    assert (depth.max(axis=1) >= 0).all()
    # A sphere around a cube of side s reaches (√3 − 1)/2 s beyond it.
    piece = max(min(sides), max(sides) / 6)
    assert radii.max() <= np.sqrt(3) / 2 * 1.5 * piece


def test_spheres_of_a_gripper_cover_its_boxes():
    gripper = load_gripper("panda")
    parts = gripper_spheres(gripper, 3, np.eye(4))
    assert {frame for frame, *_ in parts} == {3}
    corners = gripper.mesh(gripper.stroke)[0]
    centres, radii = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
    depth = radii - np.linalg.norm(corners[:, None] - centres, axis=-1)
    assert (depth.max(axis=1) >= -1e-12).all()


def test_spheres_of_a_description_are_taken_as_they_are():
    links = load_robot("panda").links
    assert links.frame[0] == 0 and links.radius[0] == 0.075
    assert np.allclose(links.centre[0], [-0.09, 0, 0.06], atol=1e-12)


@pytest.mark.parametrize("name", shipped_robots())
def test_arms_are_clear_of_themselves_at_home_and_not_when_folded(name):
    arm = load_robot(name)

    def clearance(q):
        places = arm.spheres.places(arm.kinematics.frames(torch.tensor(q)))
        # The slow way: each pair of spheres for itself.
        slow = [
            float((places[i] - places[j]).norm() - arm.spheres.radius[[i, j]].sum())
            for i, j in arm.self_pairs.tolist()
        ]
        assert np.allclose(arm.self_distances(places), slow, atol=1e-9)
        return min(slow)

    folded = {"panda": [0, 0, 0, -3.07, 0, 0, 0.785], "ur5e": [0, -1.57, 3.1, -1.57, -1.57, 0]}
    assert clearance(arm.home) > 0
    assert clearance(np.array(folded[name], dtype=float)) < 0
    frame = arm.spheres.frame[arm.self_pairs]
    assert ((frame[:, 0] - frame[:, 1]).abs() >= 2).all()

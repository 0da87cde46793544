"""Proposals: at opposite places, on the whole surface, where a cost is low."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trimesh.creation import annulus, box, icosphere

from grasp.field import proposals
from grasp.field.proposals import opposites, propose
from grasp.field.surfaces import surface_of
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.scenes.collision import in_collision
from pcdiff.randomness import seeded

PANDA = load_gripper("panda")


def places(mesh):
    obj = Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces))
    return opposites(surface_of(obj, np.random.default_rng(0)), PANDA)


@pytest.fixture(scope="module")
def ball():
    return places(icosphere(4, 0.03))


def test_the_hand_is_in_the_middle_of_a_ball(ball):
    """The closing axis is along a diameter, and the depth is uniform over the pads."""
    poses = propose(ball, PANDA, 500, seeded(0)).double()
    rotation, hand = poses[:, :3, :3], poses[:, :3, 3]
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand(500, 3, 3),
        rtol=0, atol=1e-5,
    )  # fmt: skip
    assert (torch.linalg.det(rotation) > 0).all()
    local = -(rotation.mT @ hand[..., None])[..., 0]  # the ball's centre in the gripper's frame
    begin, end = PANDA.pad
    # A place at a distance a from the line through the centre is nearer by r - (r² - a²)^½, so the
    # midpoint is off by half of that: E[a²]/4r = 2 (5 mm)²/4r on average. The rest is the error of
    # representing a ball by points.
    assert local[:, 1].abs().max() < 2e-3
    assert local[:, 0].abs().mean() == pytest.approx(0.005**2 / (2 * 0.03), abs=1.5e-4)
    assert (local[:, 2] > begin - 2e-3).all() and (local[:, 2] < end + 2e-3).all()
    spread = (local[:, 2] - begin) / (end - begin)
    assert abs(spread.mean() - 0.5) < 0.05 and abs(spread.std() - 12**-0.5) < 0.03


def test_places_are_uniform_on_the_faces_that_fit():
    """A bar of 1 x 2 x 9 cm is too long to be held by its ends; its sides share by area."""
    poses = propose(places(box((0.01, 0.02, 0.09))), PANDA, 4000, seeded(0))
    share = torch.bincount(poses[:, :3, 0].abs().argmax(1), minlength=3) / len(poses)
    assert (share - torch.tensor([2 / 3, 1 / 3, 0])).abs().max() < 0.05


def test_angles_about_the_normal_are_uniform():
    """A washer 10 cm wide and 1 cm high can only be held by its flat sides."""
    poses = propose(places(annulus(0.002, 0.05, 0.01)), PANDA, 4000, seeded(0))
    assert (poses[:, 2, 0].abs() > 0.99).float().mean() > 0.95
    angle = torch.atan2(poses[:, 1, 2], poses[:, 0, 2])
    for order in (1, 2, 3):
        assert abs((order * angle).cos().mean()) < 0.05
        assert abs((order * angle).sin().mean()) < 0.05


def test_collision_free_proposals_are_preferred(monkeypatch):
    """If one is free with probability q, the chosen one of eight is with 1 − (1 − q)⁸."""
    tube = places(annulus(0.046, 0.05, 0.1))
    points = tube.points.numpy()

    def free():
        poses = propose(tube, PANDA, 3000, seeded(0)).numpy()
        return 1 - in_collision(poses, PANDA, points).mean()

    chosen = free()
    monkeypatch.setattr(proposals, "CHOICES", 1)
    assert chosen == pytest.approx(1 - (1 - free()) ** 8, abs=0.04)


def test_a_wide_tube_is_held_at_its_wall():
    """A tube of 10 cm with a wall of 4 mm is held at its wall, never across."""
    poses = propose(places(annulus(0.046, 0.05, 0.1)), PANDA, 500, seeded(0))
    middle = poses[:, :3, 3] + poses[:, :3, 2] * (sum(PANDA.pad) / 2)
    along = (middle[:, :2] * torch.nn.functional.normalize(poses[:, :2, 0], dim=1)).sum(1).abs()
    upright = poses[:, 2, 0].abs() < 0.5  # leaves out proposals between two edges of a rim
    assert upright.float().mean() > 0.95
    reach = (PANDA.pad[1] - PANDA.pad[0]) / 2
    assert (along[upright] - 0.048).abs().max() < 0.003 + reach


@pytest.mark.parametrize(("side", "fits"), [(0.07, True), (0.09, False)])
def test_opposite_places_exist_within_the_stroke_only(side, fits):
    assert places(box((side, 0.2, 0.3))).exist == fits


def test_places_far_aside_are_not_opposite():
    """Two thick plates 3 cm apart sideways: each is too thick to span, and they form no pair."""
    one, other = box((0.2, 0.2, 0.1)), box((0.2, 0.2, 0.1))
    other.apply_translation([0.23, 0.0, 0.15])
    assert not places(one + other).exist


def test_proposals_are_anywhere_if_nothing_fits():
    poses = propose(places(box((0.2, 0.3, 0.25))), PANDA, 1000, seeded(0))
    share = torch.bincount(poses[:, :3, 0].abs().argmax(1), minlength=3) / len(poses)
    area = torch.tensor([0.3 * 0.25, 0.2 * 0.25, 0.2 * 0.3])
    assert (share - area / area.sum()).abs().max() < 0.05


def test_a_cost_decides_which_proposals_are_chosen(ball):
    """With a cost of 0 above and log 3 below, one above is three times as likely to be chosen."""
    poses = propose(
        ball, PANDA, 4000, seeded(0), lambda at: np.log(3.0) * (at[:, 2, 0] < 0).float()
    )
    free = propose(ball, PANDA, 4000, seeded(0))
    assert abs((free[:, 2, 0] > 0).float().mean() - 0.5) < 0.03
    # E[3a/(3a + b)] with a + b = 8 and a binomial.
    a = np.arange(9)
    weight = np.array([1, 8, 28, 56, 70, 56, 28, 8, 1]) / 256
    expected = float((weight * 3 * a / (3 * a + 8 - a)).sum())
    assert abs((poses[:, 2, 0] > 0).float().mean() - expected) < 0.03


def test_each_proposal_depends_on_its_own_generator(ball):
    several = propose(ball, PANDA, 3, [seeded(1, place) for place in range(3)])
    alone = propose(ball, PANDA, 1, [seeded(1, 2)])
    assert torch.equal(several[2:], alone)

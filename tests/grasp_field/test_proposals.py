"""Where sampling begins: a pad on the surface, anywhere on it, and where a cost is low."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trimesh.creation import box, icosphere

from grasp.gripper import load_gripper
from grasp.objects import Object
from grasp.proposals import propose
from grasp.surfaces import surface_of
from pcdiff.randomness import seeded

PANDA = load_gripper("panda")


def surface(mesh):
    obj = Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces))
    return surface_of(obj, np.random.default_rng(0))


@pytest.fixture(scope="module")
def ball():
    return surface(icosphere(4, 0.03))


def test_a_pad_lies_on_the_surface_with_its_normal(ball):
    """On a ball at the origin the pad's plane touches where +x passes, as deep as the pad is."""
    poses = propose(ball, PANDA, 500, seeded(0)).double()
    rotation, hand = poses[:, :3, :3], poses[:, :3, 3] + ball.centre[0]
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand(500, 3, 3),
        rtol=0, atol=1e-5,
    )  # fmt: skip
    assert (torch.linalg.det(rotation) > 0).all()
    contact = 0.03 * rotation[:, :, 0]
    local = (rotation.mT @ (contact - hand)[..., None])[..., 0]
    begin, end = PANDA.pad
    assert local[:, 1].abs().max() < 2e-3  # as exact as points stand for a ball
    assert (local[:, 0] > -2e-3).all() and (local[:, 0] < PANDA.stroke / 2 + 2e-3).all()
    assert (local[:, 2] > begin - 2e-3).all() and (local[:, 2] < end + 2e-3).all()
    for column, low, high in ((0, 0, PANDA.stroke / 2), (2, begin, end)):
        spread = (local[:, column] - low) / (high - low)
        assert abs(spread.mean() - 0.5) < 0.05 and abs(spread.std() - 12**-0.5) < 0.03


def test_places_are_uniform_on_the_surface_and_turns_about_the_normal():
    """On a 2 x 4 x 8 cm bar a side gets its share of the area, and every angle the same."""
    poses = propose(surface(box((0.02, 0.04, 0.08))), PANDA, 4000, seeded(0))
    closing, approach = poses[:, :3, 0], poses[:, :3, 2]
    axis = closing.abs().argmax(1)
    share = torch.bincount(axis, minlength=3) / len(poses)
    area = torch.tensor([4 * 8, 2 * 8, 2 * 4]) / 56
    assert (share - area).abs().max() < 0.04
    flat = approach[axis == 0]
    angle = torch.atan2(flat[:, 2], flat[:, 1])
    assert abs(angle.cos().mean()) < 0.05 and abs(angle.sin().mean()) < 0.05
    assert abs((2 * angle).cos().mean()) < 0.05


def test_a_cost_chooses_among_them(ball):
    """A cost of 0 above and of log 3 below: of eight each time one, three times as often above."""
    poses = propose(
        ball, PANDA, 4000, seeded(0), lambda at: np.log(3.0) * (at[:, 2, 0] < 0).float()
    )
    free = propose(ball, PANDA, 4000, seeded(0))
    assert abs((free[:, 2, 0] > 0).float().mean() - 0.5) < 0.03
    # E[3a/(3a + b)] for a + b = 8, a binomial.
    a = np.arange(9)
    weight = np.array([1, 8, 28, 56, 70, 56, 28, 8, 1]) / 256
    expected = float((weight * 3 * a / (3 * a + 8 - a)).sum())
    assert abs((poses[:, 2, 0] > 0).float().mean() - expected) < 0.03


def test_each_proposal_depends_on_its_own_generator(ball):
    several = propose(ball, PANDA, 3, [seeded(1, place) for place in range(3)])
    alone = propose(ball, PANDA, 1, [seeded(1, 2)])
    assert torch.equal(several[2:], alone)

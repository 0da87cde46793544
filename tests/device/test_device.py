"""Both heads on an accelerator against the CPU: `make test-device DEVICE=cuda`.

Without `--device` these tests are skipped.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from trimesh.creation import box

import grasp
from grasp.field.batches import draw_batch
from grasp.field.sampling import Sampling
from grasp.objects.object import Object
from grasp.scenes.collision import in_collision
from pcdiff import PointCloudGenerator
from pcdiff.geometry.neighbours import knn_points, sample_farthest_points
from pcdiff.manifolds import SE3
from pcdiff.randomness import normal, seeded, spawn

# An accelerator adds in another order; float32 keeps about this much over a whole sampler.
CLOSE = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(scope="module")
def device(request) -> torch.device:
    name = request.config.getoption("--device")
    if name is None:
        pytest.skip("needs --device")
    return torch.device(name)


@pytest.fixture(scope="module")
def chairs():
    return PointCloudGenerator.from_pretrained("chair")


@pytest.fixture(scope="module")
def field():
    return grasp.GraspField.from_pretrained("panda")


def bar(*sides):
    mesh = box(sides)
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces))


def test_clouds_are_those_of_the_cpu(chairs, device):
    there = copy.deepcopy(chairs).to(device)
    mine, theirs = (
        each.sample(2, 512, [seeded(1), seeded(2)], 8).cpu() for each in (chairs, there)
    )
    torch.testing.assert_close(theirs, mine, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(there.encode(mine.to(device)).cpu(), chairs.encode(mine), **CLOSE)


def test_a_step_of_training_clouds_has_the_gradient_of_the_cpu(chairs, device):
    clouds = normal((4, 256, 3), seeded(0)).clamp(-1, 1)
    gradients = []
    for where in (torch.device("cpu"), device):
        model = copy.deepcopy(chairs).to(where).train().requires_grad_(True)
        model.loss(clouds.to(where), [seeded(3, place) for place in range(4)], 4)["loss"].backward()
        gradients.append(torch.cat([p.grad.cpu().flatten() for p in model.parameters()]))
    mine, theirs = gradients
    assert (mine - theirs).norm() <= 1e-3 * mine.norm()


def test_grasps_and_their_costs_are_those_of_the_cpu(field, device):
    there = copy.deepcopy(field).to(device)
    ours, theirs = (each.condition(bar(0.04, 0.06, 0.12)) for each in (field, there))
    poses = ours.draw(64, [seeded(4, place) for place in range(64)], Sampling(steps=4)).float()
    drawn = theirs.draw(64, [seeded(4, place) for place in range(64)], Sampling(steps=4)).cpu()
    near = (drawn.float() - poses).abs().amax((1, 2)) < 1e-2
    assert near.float().mean() > 0.95  # a proposal may fall on the other side of a threshold
    for level in (0.02, 0.2, 1.0):
        value, gradient = ours.cost_and_gradient(poses, level)
        moved = theirs.cost_and_gradient(poses.to(device), level)
        torch.testing.assert_close(moved[0].cpu(), value, **CLOSE)
        assert (moved[1].cpu() - gradient).norm() <= 1e-3 * gradient.norm()
    probability = theirs.success_probability(poses.to(device)).cpu()
    torch.testing.assert_close(probability, ours.success_probability(poses), **CLOSE)


def test_several_objects_together_are_each_alone(field, device):
    there = copy.deepcopy(field).to(device)
    several = [there.condition(bar(0.03, 0.04, side)) for side in (0.1, 0.14)]
    together = draw_batch(several, 6, [seeded(1), seeded(2)], Sampling(begin=None, steps=6))
    assert together.device.type == device.type
    for place, each in enumerate(several):
        alone = each.draw(6, spawn(seeded(place + 1), 6), Sampling(begin=None, steps=6))
        torch.testing.assert_close(together[place], alone, rtol=0, atol=1e-3)


def test_collisions_are_those_of_arrays(device):
    hand = grasp.load_gripper("panda")
    space = SE3()
    start = torch.eye(4, dtype=torch.float64).repeat(200, 1, 1)
    poses = space.retract(start, 0.5 * space.tangent_noise(start, seeded(5)))
    points = bar(0.04, 0.06, 0.12).surface(4000, np.random.default_rng(0))[0]
    expected = in_collision(poses.numpy(), hand, points)
    assert 0.05 < expected.mean() < 0.95
    found = in_collision(poses.to(device), hand, torch.from_numpy(points).to(device))
    assert (found.cpu().numpy() == expected).all()


def test_manifolds_and_neighbours(device):
    space = SE3()
    points = torch.eye(4).repeat(50, 1, 1)
    moved = space.retract(points, space.tangent_noise(points, seeded(6)))
    sigma = torch.full((50,), 0.4)
    score = space.kernel_score(points, moved, sigma)
    there = space.kernel_score(points.to(device), moved.to(device), sigma.to(device))
    torch.testing.assert_close(there.cpu(), score, rtol=1e-4, atol=1e-4)
    clouds = normal((2, 300, 3), seeded(7))
    mine, theirs = (knn_points(each, each, K=3) for each in (clouds, clouds.to(device)))
    torch.testing.assert_close(theirs.dists.cpu(), mine.dists, rtol=1e-4, atol=1e-5)
    chosen = sample_farthest_points(clouds, K=20)[1]
    assert torch.equal(sample_farthest_points(clouds.to(device), K=20)[1].cpu(), chosen)


def test_neighbours_agree_with_pytorch3d(device):
    ops = pytest.importorskip("pytorch3d.ops", reason="needs pytorch3d")
    clouds, others = (normal((2, 300, 3), seeded(each)).to(device) for each in (8, 9))
    ours, theirs = (each(clouds, others, K=4) for each in (knn_points, ops.knn_points))
    torch.testing.assert_close(ours.dists, theirs.dists, rtol=1e-4, atol=1e-5)
    assert torch.equal(ours.idx, theirs.idx)

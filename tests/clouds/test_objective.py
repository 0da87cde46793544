"""What a training step sees of clouds."""

from __future__ import annotations

import pytest
import torch

from pcdiff.randomness import seeded
from tests import tiny


def test_the_loss_of_clouds_is_the_generator_s_on_a_subset_of_points():
    """Each item has its own random generator, so the loss of a batch is the mean over its items."""
    task = tiny.cloud_objective()
    each = [task.loss(task.model, [i], [seeded(9, i)])["loss"] for i in (4, 1, 5)]
    batch = task.loss(task.model, [4, 1, 5], [seeded(9, i) for i in (4, 1, 5)])["loss"]
    torch.testing.assert_close(batch, torch.stack(each).mean(), rtol=1e-5, atol=0)


def test_a_step_sees_a_random_subset_of_a_cloud():
    seen = []
    task = tiny.cloud_objective()
    task.model.loss = lambda clouds, *_: seen.append(clouds) or {}
    for step in range(50):
        task.loss(task.model, [3], [seeded(step)])
    chosen = [
        (cloud[0][:, None] == task.train[3]).all(dim=-1).nonzero()[:, 1].tolist() for cloud in seen
    ]
    assert all(len(set(points)) == 16 for points in chosen)
    assert set().union(*chosen) == set(range(40))


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_half_of_the_clouds_are_mirrored_in_one_axis(axis):
    seen = []
    task, plain = tiny.cloud_objective(mirror=axis), tiny.cloud_objective()

    def spy(clouds, *_):
        seen.append(clouds)
        return {}

    task.model.loss = plain.model.loss = spy
    items = [i % 6 for i in range(200)]
    for objective in (task, plain):
        objective.loss(objective.model, items, [seeded(1, i) for i in range(200)])
    mirrored, original = seen
    reflected = original.clone()
    reflected[..., "xyz".index(axis)] *= -1
    flipped = [torch.equal(a, b) for a, b in zip(mirrored, reflected, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(mirrored, original, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 70 < sum(flipped) < 130  # four standard deviations around a half

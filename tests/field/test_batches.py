"""Sampling several objects at once gives the same as sampling each alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trimesh.creation import box

from grasp.field.batches import draw_batch, sample_batch
from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig
from grasp.field.sampling import CLOUD_SAMPLING, Sampling
from grasp.field.selection import Selection
from grasp.field.trained import GraspField
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.randomness import seeded, spawn

CONFIG = FieldConfig(energy=NetworkConfig(32, 2, 8), success=NetworkConfig(16, 2, 8))
HOWS = [Sampling(), CLOUD_SAMPLING]
LENIENT = Selection(least_probability=0.0)


@pytest.fixture(scope="module")
def field():
    return GraspField.initialized(CONFIG, 0).eval().requires_grad_(False)


def thing(*sides, at=(0.0, 0.0, 0.0)):
    mesh = box(sides)
    return Object.from_mesh(np.array(mesh.vertices) + at, np.array(mesh.faces))


@pytest.fixture(scope="module")
def fields(field):
    return [
        field.condition(thing(0.03, 0.04, 0.12)),
        field.condition(thing(0.06, 0.05, 0.05, at=(1.0, -2.0, 0.5)), "robotiq_2f_85"),
    ]


@pytest.mark.parametrize("how", HOWS)
def test_each_object_has_its_own_samples(fields, how):
    together = draw_batch(fields, 6, [seeded(1), seeded(2)], how)
    for place, each in enumerate(fields):
        alone = each.draw(6, spawn(seeded(place + 1), 6), how)
        torch.testing.assert_close(together[place], alone, rtol=0, atol=1e-4)


def test_each_object_has_its_own_grasps(fields, field):
    how, drawn = HOWS[0], round(5 * LENIENT.oversampling)
    crate = field.condition(thing(0.3, 0.3, 0.3))
    several = sample_batch([*fields, crate], 5, [seeded(1), seeded(2), seeded(3)], how, LENIENT)
    for place, (found, each) in enumerate(zip(several, fields, strict=False)):
        samples = each.draw(drawn, spawn(seeded(place + 1), drawn), how)
        probability = each.success_probability(samples)
        assert found.success_probability is not None
        assert found.gripper == each.gripper.name
        for pose, told in zip(found.poses, found.success_probability, strict=True):
            nearest = (samples - torch.from_numpy(pose)).abs().amax((1, 2)).argmin()
            assert told == pytest.approx(float(probability[nearest]), abs=1e-3)
    assert [len(found) for found in several] == [5, 5, 0]
    assert several[2].reason is not None and "300 mm wide at its narrowest" in several[2].reason


def test_objects_that_cannot_share_a_batch_are_refused(fields):
    other = GraspField.initialized(CONFIG, 1).condition(thing(0.03, 0.04, 0.12))
    for wrong in ([], [fields[0], other]):
        with pytest.raises(InputError, match="at least one object and a single trained"):
            draw_batch(wrong, 2, [seeded(0)] * len(wrong), HOWS[0])
    with pytest.raises(InputError, match="expected 2 generators, one per object, got 1"):
        draw_batch(fields, 2, [seeded(0)], HOWS[0])

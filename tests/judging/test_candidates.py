"""Candidates at antipodal contacts: where the hand closes, and how the kinds are mixed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from trimesh.creation import box, icosphere

from grasp.judging.candidates import ANTIPODAL, FAR_MISS, NEAR_MISS, RIM, candidates, thickness
from grasp.objects.object import Object
from pcdiff.errors import InputError
from tests.judging.solids import (
    BAR,
    PLATE,
    TUBE,
    of,
    rng,
)


def in_gripper(poses, points):
    """Transform points of the object (n, k, 3) into the frames of n grippers."""
    return np.einsum("nij,nki->nkj", poses[:, :3, :3], points - poses[:, None, :3, 3])


@pytest.mark.parametrize("obj", [PLATE, TUBE, BAR], ids=lambda obj: obj.name)
def test_the_hand_closes_on_the_contacts(obj, panda):
    found = candidates(obj, panda, 400, rng())
    rotation = found.poses[:, :3, :3]
    np.testing.assert_allclose(rotation.swapaxes(1, 2) @ rotation, [np.eye(3)] * 400, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-12)
    local = in_gripper(found.poses, found.contacts.points)
    half = found.contacts.width / 2
    np.testing.assert_allclose(
        np.sort(local[:, :, 0], axis=1), np.stack([-half, half], 1), atol=1e-12
    )
    np.testing.assert_allclose(local[:, :, 1], 0, atol=1e-12)
    np.testing.assert_allclose(local[:, :, 2], np.stack([found.depth] * 2, 1), atol=1e-12)
    assert found.depth.max() <= panda.pad[1]
    assert found.depth.min() >= 0.066  # the fingers begin where the hand ends
    assert 0.65 < (found.depth >= panda.pad[0]).mean() < 0.95


def test_approaches_and_lines_have_no_preferred_direction(panda):
    # Around a ball, all directions are equally free of collision.
    found = candidates(of(icosphere(4, 0.02)), panda, 3000, rng())
    for axis in (found.poses[:, :3, 0], found.poses[:, :3, 2]):
        np.testing.assert_allclose(axis.mean(axis=0), 0, atol=4 / math.sqrt(3 * 3000))
        np.testing.assert_allclose(axis.T @ axis / 3000, np.eye(3) / 3, atol=0.025)


def test_about_half_of_the_candidates_are_clear(panda):
    found = candidates(TUBE, panda, 1000, rng())
    points = TUBE.surface(8000, rng(1))[0]
    clear = np.ones(1000, bool)
    for index, pose in enumerate(found.poses):
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        for part in panda.boxes(panda.stroke):
            clear[index] &= not (np.abs(local - part.centre) < part.half_extents).all(axis=1).any()
    assert 0.35 < clear.mean() < 0.8


def test_no_kind_of_candidate_is_too_rare(panda):
    found = candidates(TUBE, panda, 1000, rng())
    np.testing.assert_array_equal(found.kinds == RIM, found.contacts.width < 0.006)
    assert 0.1 < (found.kinds == RIM).mean() < 0.8
    assert (candidates(PLATE, panda, 100, rng()).kinds == ANTIPODAL).all()
    # The rim makes up most of the surface of this block with a wide thin rim.
    dish = of(box((0.06, 0.06, 0.1)) + box((0.3, 0.3, 0.004)))
    assert (candidates(dish, panda, 500, rng()).kinds == ANTIPODAL).mean() > 0.2


def test_thickness_of_a_ball_and_a_cube_matches_the_closed_form():
    assert thickness(of(icosphere(5, 0.03))) == pytest.approx(0.06, rel=2e-3)
    # Along one axis, a third of a unit cube's surface is at distance 1/2 from the centre and the
    # rest is uniform, so the variance is 5/36.
    cube = of(box((0.1, 0.1, 0.1)))
    assert thickness(cube) == pytest.approx(0.1 * math.sqrt(12 * 5 / 36), rel=1e-12)
    cloud = Object.from_points(*cube.surface(200_000, rng(1)))
    assert thickness(cloud) == pytest.approx(thickness(cube), rel=0.01)


def test_only_near_misses_are_moved(panda):
    found = candidates(PLATE, panda, 2000, rng(), near_misses=0.25)
    missed = found.kinds == NEAR_MISS
    assert abs(missed.mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)
    local = in_gripper(found.poses, found.contacts.points)
    middle = local.mean(axis=1) - np.stack([np.zeros(2000), np.zeros(2000), found.depth], axis=1)
    moved = np.linalg.norm(middle, axis=1)
    assert moved[~missed].max() < 1e-12
    assert 0.01 < np.median(moved[missed]) < 0.03
    closing = np.abs(np.einsum("ni,ni->n", found.poses[:, :3, 0], found.contacts.axis))
    np.testing.assert_allclose(closing[~missed], 1, atol=1e-12)
    assert (closing[missed] < 1 - 1e-6).all()
    turn = found.poses[missed, :3, :3]
    np.testing.assert_allclose(turn.swapaxes(1, 2) @ turn, [np.eye(3)] * missed.sum(), atol=1e-12)


def test_far_misses_go_further_and_leave_the_other_candidates_alone(panda):
    near = candidates(PLATE, panda, 2000, rng(), near_misses=0.25)
    found = candidates(PLATE, panda, 2000, rng(), near_misses=0.25, far_misses=0.2)
    far = found.kinds == FAR_MISS
    assert abs(far.mean() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 2000)
    np.testing.assert_array_equal(found.kinds[~far], near.kinds[~far])
    np.testing.assert_array_equal(found.poses[~far], near.poses[~far])
    local = in_gripper(found.poses, found.contacts.points)
    middle = local.mean(axis=1) - np.stack([np.zeros(2000), np.zeros(2000), found.depth], axis=1)
    moved = np.linalg.norm(middle, axis=1)[far]
    # The moves have deviations of 2 cm to 20 cm along each axis, 6.3 cm in the geometric mean.
    assert 0.06 < np.median(moved) < 0.15
    turn = found.poses[far, :3, :3]
    np.testing.assert_allclose(turn.swapaxes(1, 2) @ turn, [np.eye(3)] * far.sum(), atol=1e-12)
    with pytest.raises(InputError, match=r"far misses must be from 0 to 1, got -0.1"):
        candidates(PLATE, panda, 1, rng(), far_misses=-0.1)
    with pytest.raises(InputError, match=r"must add up to at most 1, got 0.6 and 0.5"):
        candidates(PLATE, panda, 1, rng(), near_misses=0.6, far_misses=0.5)


def test_candidates_are_reproducible(panda):
    first, again, other = (
        candidates(TUBE, panda, 50, rng(seed), near_misses=0.2).poses for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_arguments_out_of_range_are_refused(panda):
    with pytest.raises(InputError, match="at least 1, got 0"):
        candidates(PLATE, panda, 0, rng())
    for friction in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="coefficient of friction must be above 0"):
            candidates(PLATE, panda, 1, rng(), friction=friction)
    with pytest.raises(InputError, match=r"near misses must be from 0 to 1, got 1.5"):
        candidates(PLATE, panda, 1, rng(), near_misses=1.5)

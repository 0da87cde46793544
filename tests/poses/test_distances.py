"""Distances between poses against known motions and SciPy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.poses.distances import pose_distances
from tests.poses.poses import R_Z_PI, pose, random_poses, slow_distances


@pytest.mark.parametrize("angle", [0, 1e-9, 1e-4, 0.3, 1.5])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_distance_of_a_known_motion(angle, axis, rng):
    start = random_poses(1, rng)
    motion = pose(Rotation.from_rotvec(angle * np.array(axis)), (0.03, 0, -0.04))
    got = pose_distances(start, start @ motion, length=0.2)
    assert got.rotation == pytest.approx(angle, abs=1e-15, rel=1e-6)
    assert got.translation == pytest.approx(0.05)
    assert got.combined == pytest.approx(math.hypot(angle, 0.25), rel=1e-9)


def test_a_half_turn_of_the_jaw_has_distance_zero(rng):
    poses = random_poses(20, rng)
    got = pose_distances(poses, poses @ R_Z_PI)
    np.testing.assert_array_equal(np.diag(got.rotation), 0)
    np.testing.assert_array_equal(np.diag(got.combined), 0)
    for about_z in (0.4, math.pi - 0.4, math.pi + 0.4):
        turned = poses @ pose(Rotation.from_euler("z", about_z))
        np.testing.assert_allclose(np.diag(pose_distances(poses, turned).rotation), 0.4)


def test_opposite_approaches_are_half_a_turn_apart():
    # For opposite approaches both turns of the jaw give the angle π.
    flipped = pose(Rotation.from_euler("x", math.pi))[None]
    got = pose_distances(np.eye(4)[None], flipped).rotation
    assert got == pytest.approx(math.pi, abs=1e-7)


def test_distances_match_scipy_pair_by_pair(rng):
    a, b = random_poses(15, rng), random_poses(12, rng)
    got = pose_distances(a, b, length=0.07)
    for i, j in itertools.product(range(15), range(12)):
        angle, translation = slow_distances(a[i], b[j])
        assert got.rotation[i, j] == pytest.approx(angle, abs=1e-7)
        assert got.translation[i, j] == pytest.approx(translation)
        assert got.combined[i, j] == pytest.approx(math.hypot(angle, translation / 0.07))


def test_distances_do_not_depend_on_the_pose_of_the_object(rng):
    a, b = random_poses(5, rng), random_poses(6, rng)
    T_world_object = random_poses(1, rng)
    here = pose_distances(a, b)
    there = pose_distances(T_world_object @ a, T_world_object @ b)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)

"""Diverse subsets of grasps against slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.judging.coverage import coverage
from grasp.poses.subsets import spread, thin
from pcdiff.errors import InputError
from tests.poses.poses import R_Z_PI, near, random_poses, scattered, slow_distances


def test_spread_of_similar_grasps_matches_a_slow_reference(rng):
    """Near the identity, the distance is Euclidean in t/1 cm and the rotation vector/15°."""
    count, small = 30, 1e-3
    steps = small * rng.normal(size=(count, 6))
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, 3] = steps[:, :3]
    poses[:, :3, :3] = Rotation.from_rotvec(steps[:, 3:]).as_matrix()
    turned = poses.copy()
    turned[::2] = turned[::2] @ np.diag([-1.0, -1.0, 1.0, 1.0])
    scaled = steps / np.repeat([0.01, math.radians(15)], 3)
    apart = np.linalg.norm(scaled[:, None] - scaled, axis=-1)
    chosen = [0]
    while len(chosen) < 8:
        chosen.append(int(apart[chosen].min(axis=0).argmax()))
    assert spread(turned, 8).tolist() == chosen
    assert spread(turned[:5], 8).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"translation and rotation must be above 0, got 0.0 and"):
        spread(turned, 8, translation=0.0)


def test_spread_first_takes_the_best_grasps_that_are_not_similar(rng):
    """On a line, the places that thinning keeps come first, then the farthest from all of them."""
    at = np.array([0.0, 0.004, 0.011, 0.0185, 0.023, 0.0275, 0.03, 0.05])
    poses = np.tile(np.eye(4), (len(at), 1, 1))
    poses[:, 0, 3] = at
    assert thin(poses).tolist() == [0, 2, 4, 7]
    assert spread(poses, 3).tolist() == [0, 2, 4]
    # 30 mm is 7 mm from a chosen place, 18.5 mm is 4.5 mm, 4 mm is 4 mm.
    assert spread(poses, 5).tolist() == [0, 2, 4, 7, 6]
    assert spread(poses, 7).tolist() == [0, 2, 4, 7, 6, 3, 1]
    assert spread(poses, 9).tolist() == list(range(8))
    equal = np.tile(np.eye(4), (4, 1, 1))
    assert sorted(spread(equal, 3).tolist()) == [0, 1, 2]
    samples, _ = scattered(rng)
    assert spread(samples, 10).tolist() == thin(samples)[:10].tolist()


def test_thinning_matches_a_slow_loop(rng):
    samples, _ = scattered(rng)
    kept = []
    for place, sample in enumerate(samples):
        angles_and_distances = [slow_distances(samples[other], sample) for other in kept]
        if not any(a <= math.radians(15) and d <= 0.01 for a, d in angles_and_distances):
            kept.append(place)
    assert 20 < len(kept) < 55
    assert thin(samples).tolist() == kept


def test_thinning_keeps_the_best_grasps_and_covers_the_rest(rng):
    distinct = random_poses(10, rng, spread=1.0)
    copies = np.concatenate([distinct, near(distinct, rng, 0.0005, 0.01), distinct @ R_Z_PI])
    assert thin(copies).tolist() == list(range(10))
    samples, _ = scattered(rng)
    assert coverage(samples[thin(samples)], samples) == 1
    assert thin(samples[:0]).tolist() == []


def test_thinning_with_zero_thresholds_drops_only_equal_grasps(rng):
    poses = random_poses(5, rng)
    again = np.concatenate([poses, poses[2:4], poses[:1] @ R_Z_PI])
    assert thin(again, translation=0.0, rotation=0.0).tolist() == [0, 1, 2, 3, 4]

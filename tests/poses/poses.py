"""Random poses and a slow reference for the distance between two poses."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

R_Z_PI = np.diag([-1.0, -1, 1, 1])


def pose(rotation=None, translation=(0, 0, 0)):
    transform = np.eye(4)
    if rotation is not None:
        transform[:3, :3] = rotation.as_matrix()
    transform[:3, 3] = translation
    return transform


def random_poses(count, rng, spread=0.1):
    rotations = Rotation.random(count, rng)
    return np.stack([pose(r, rng.normal(0, spread, 3)) for r in rotations])


def near(poses, rng, translation, rotation):
    """Move each pose in its own frame by normal draws, and turn half of them by π."""
    moved = [
        H
        @ pose(Rotation.from_rotvec(rng.normal(0, rotation, 3)), rng.normal(0, translation, 3))
        @ (R_Z_PI if rng.uniform() < 0.5 else np.eye(4))
        for H in poses
    ]
    return np.stack(moved)


def slow_distances(a, b):
    """Angle and translation between two poses, computed with SciPy."""
    straight = Rotation.from_matrix(a[:3, :3]).inv() * Rotation.from_matrix(b[:3, :3])
    turned = straight * Rotation.from_euler("z", math.pi)
    angle = min(straight.magnitude(), turned.magnitude())
    return angle, math.dist(a[:3, 3], b[:3, 3])


def scattered(rng):
    """Samples near positives, some within the thresholds of coverage and some beyond."""
    positives = random_poses(40, rng, spread=0.03)
    return near(positives[rng.integers(30, size=60)], rng, 0.006, 0.12), positives

"""Subsets of grasps that are far from one another."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from grasp.poses.distances import ROTATION, TRANSLATION, check_finite, check_thresholds, pair_angles
from pcdiff.errors import InputError


def thin(
    poses: Float[np.ndarray, "grasps 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> Int[np.ndarray, " kept"]:
    """The places of grasps of which no two are within both distances of each other.

    Greedy along the ranking: a grasp is kept unless one kept before it is that near.

    Args:
        poses: best ranked first.
        translation: metres, the distance itself included.
        rotation: radians, likewise.

    Returns:
        Places in ascending order.

    Raises:
        InputError: a distance is negative or not finite, or a pose is not finite.
    """
    from scipy.spatial import cKDTree

    check_thresholds(translation, rotation)
    check_finite("poses", poses)
    if not len(poses):
        return np.empty(0, np.int64)
    tree = cKDTree(poses[:, :3, 3])
    dropped = np.zeros(len(poses), bool)
    kept = []
    for place in range(len(poses)):
        if dropped[place]:
            continue
        kept.append(place)
        near = np.asarray(tree.query_ball_point(poses[place, :3, 3], translation), np.int64)
        near = near[~dropped[near]]
        dropped[near[pair_angles(poses[near], poses[[place]]) <= rotation]] = True
    return np.array(kept, np.int64)


def spread(
    poses: Float[np.ndarray, "grasps 4 4"],
    count: int,
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> Int[np.ndarray, " chosen"]:
    """The places of so many grasps that are far from each other: farthest point sampling.

    The distance is sqrt((Δt/translation)² + (Δθ/rotation)²) for small Δθ, for the smaller Δθ of the
    two turns of the jaw: it is that between (t, z/√2, x ⊗ x/2, y ⊗ y/2) for the axes of the hand,
    which are the same for both turns.

    Args:
        poses: the first of them is chosen first.
        count: how many; all, if there are not more.
        translation: metres.
        rotation: radians.

    Returns:
        Places in the order in which they were chosen.

    Raises:
        InputError: a distance is not positive or not finite, or a pose is not finite.
    """
    import torch

    from pcdiff.geometry.neighbours import sample_farthest_points

    check_thresholds(translation, rotation)
    if not translation or not rotation:
        raise InputError(f"distances must be positive, got {translation} and {rotation}")
    check_finite("poses", poses)
    if len(poses) <= count:
        return np.arange(len(poses))
    x, y, z = poses[:, :3, :3].transpose(2, 0, 1)
    squares = [(axis[:, :, None] * axis[:, None]).reshape(-1, 9) / 2 for axis in (x, y)]
    turns = np.hstack([z / math.sqrt(2), *squares]) / rotation
    places = np.hstack([poses[:, :3, 3] / translation, turns])
    chosen: Int[np.ndarray, " chosen"]
    chosen = sample_farthest_points(torch.from_numpy(places)[None], K=count)[1][0].numpy()
    return chosen

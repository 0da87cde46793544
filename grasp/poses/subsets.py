"""Diverse subsets of grasps."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from grasp.poses.distances import (
    ROTATION,
    TRANSLATION,
    check_finite_poses,
    check_thresholds,
    paired_angles,
)
from pcdiff.errors import InputError


def thin(
    poses: Float[np.ndarray, "grasps 4 4"],
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> Int[np.ndarray, " kept"]:
    """Select grasps, best first, and skip every grasp that is similar to a selected grasp.

    Two grasps are similar if neither their distance nor their angle exceeds its threshold.

    Args:
        poses: Poses of the grasps, best ranked first.
        translation: Threshold in metres, inclusive.
        rotation: Threshold in radians, inclusive.

    Returns:
        Indices of the selected grasps in ascending order.

    Raises:
        InputError: If a threshold is negative or not finite, or a pose is not finite.
    """
    from scipy.spatial import cKDTree

    check_thresholds(translation, rotation)
    check_finite_poses("poses", poses)
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
        dropped[near[paired_angles(poses[near], poses[[place]]) <= rotation]] = True
    return np.array(kept, np.int64)


def spread(
    poses: Float[np.ndarray, "grasps 4 4"],
    count: int,
    translation: float = TRANSLATION,
    rotation: float = ROTATION,
) -> Int[np.ndarray, " chosen"]:
    """Choose grasps that are good and far from each other.

    `thin` chooses the first grasps. If fewer grasps than requested remain, farthest point sampling
    chooses the others: each is as far as possible from all earlier ones. For small angles, the
    distance is sqrt((Δt/translation)² + (Δθ/rotation)²). Δt is the distance between the origins,
    and Δθ is the smaller one of the angles with and without a half turn of the jaw. The distance is
    computed as the Euclidean distance between the vectors (t/translation, z/√2/rotation,
    x ⊗ x/2/rotation, y ⊗ y/2/rotation), with the origin t and the axes x, y and z of the hand. A
    half turn of the jaw does not change these vectors.

    Args:
        poses: Poses of the grasps, best ranked first; the first grasp is always chosen first.
        count: Number of grasps to choose. If there are fewer grasps, all grasps are chosen.
        translation: Distance in metres within which grasps are similar, and which counts as one
            unit of distance.
        rotation: Angle in radians within which grasps are similar, and which counts as one unit of
            distance.

    Returns:
        Indices of the chosen grasps, in the order of the choice.

    Raises:
        InputError: If `translation` or `rotation` is not positive and finite, or a pose is not
            finite.
    """
    check_thresholds(translation, rotation)
    if not translation or not rotation:
        raise InputError(
            f"translation and rotation must be above 0, got {translation} and {rotation}"
        )
    chosen = thin(poses, translation, rotation)
    if len(poses) <= count:
        return np.arange(len(poses))
    if len(chosen) >= count:
        return chosen[:count]
    x, y, z = poses[:, :3, :3].transpose(2, 0, 1)
    squares = [(axis[:, :, None] * axis[:, None]).reshape(-1, 9) / 2 for axis in (x, y)]
    turns = np.hstack([z / math.sqrt(2), *squares]) / rotation
    places = np.hstack([poses[:, :3, 3] / translation, turns])
    return _farthest(places, chosen, count)


def _farthest(
    places: Float[np.ndarray, "places dims"], chosen: Int[np.ndarray, " chosen"], count: int
) -> Int[np.ndarray, " all_chosen"]:
    """Add places to chosen places by farthest point sampling (Qi et al., PointNet++, NeurIPS 2017).

    Args:
        places: Places to choose from.
        chosen: Indices of the places that are chosen already, at least one.
        count: Number of chosen places in the end, at most the number of places.

    Returns:
        Indices of all chosen places, the given ones first.
    """
    from scipy.spatial import cKDTree

    squared = cKDTree(places[chosen]).query(places)[0] ** 2
    squared[chosen] = -1  # no place is chosen twice, even if places coincide
    further = []
    for _ in range(count - len(chosen)):
        further.append(int(squared.argmax()))
        squared = np.minimum(squared, ((places - places[further[-1]]) ** 2).sum(axis=1))
        squared[further[-1]] = -1
    return np.concatenate([chosen, np.array(further, np.int64)])

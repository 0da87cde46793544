"""Distances between grasps.

Poses are `T_object_grasp` in metres, in arrays of shape (n, 4, 4). A parallel jaw that is turned by
π around its approach axis makes an equivalent grasp. The angle between two grasps H and H' is
therefore the smaller one of two angles: from H to H' and from H to H'·R_z(π). The half turn R_z(π)
does not move the origin, so the translation does not change. Angles are in radians, in [0, π].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grasp.poses.frames import HALF_TURN
from pcdiff.errors import InputError

LENGTH = 0.1
"""Length ℓ in metres per radian that makes translations and rotations comparable."""

TRANSLATION = 0.01
"""Largest distance in metres between two grasps that count as equal in the metric coverage."""

ROTATION = math.radians(15)
"""Largest angle in radians between two grasps that count as equal in the metric coverage."""


class PoseDistances(NamedTuple):
    """Distances from each of n poses to each of m other poses, in arrays of shape (n, m).

    Attributes:
        rotation: Angle between two poses in radians; the smaller one of the angles with and without
            a half turn of the jaw.
        translation: Distance between the origins of two poses in metres.
        combined: sqrt(rotation² + (translation/ℓ)²) in radians, with the length ℓ in metres per
            radian.
    """

    rotation: np.ndarray
    translation: np.ndarray
    combined: np.ndarray


def pose_distances(
    a: Float[np.ndarray, "n 4 4"], b: Float[np.ndarray, "m 4 4"], length: float = LENGTH
) -> PoseDistances:
    """Compute the distance from each pose of `a` to each pose of `b`.

    Args:
        a: Poses of the first set.
        b: Poses of the second set.
        length: Length ℓ in metres per radian.

    Raises:
        InputError: If `length` is not positive or a pose is not finite.
    """
    from scipy.spatial.distance import cdist

    _check_length(length)
    check_finite_poses("poses", a)
    check_finite_poses("poses", b)
    # ‖R − R'‖_F = √8·sin(θ/2) for the angle θ of RᵀR'. A difference R − R' keeps small
    # angles exact, but a product RᵀR' does not.
    flat_a = a[:, :3, :3].reshape(len(a), 9)
    straight = cdist(flat_a, b[:, :3, :3].reshape(len(b), 9))
    turned = cdist(flat_a, (b * HALF_TURN)[:, :3, :3].reshape(len(b), 9))
    rotation = _angle(np.minimum(straight, turned))
    translation = cdist(a[:, :3, 3], b[:, :3, 3])
    return PoseDistances(rotation, translation, np.hypot(rotation, translation / length))


def _angle(frobenius: np.ndarray) -> np.ndarray:
    """Convert the norm ‖R − R'‖_F to the angle in radians between the rotations R and R'."""
    return 2 * np.arcsin(np.minimum(frobenius / math.sqrt(8), 1))


def paired_angles(
    a: Float[np.ndarray, "n 4 4"], b: Float[np.ndarray, "#n 4 4"]
) -> Float[np.ndarray, " n"]:
    """Compute the angle in radians between the poses a[i] and b[i] for each i.

    The result is the smaller one of the angles with and without a half turn of the jaw.

    Args:
        a: Poses of the first set.
        b: Poses of the second set: one for each pose in `a`, or a single pose that is compared with
            every pose in `a`.
    """
    rotations = a[:, :3, :3], b[:, :3, :3], (b * HALF_TURN)[:, :3, :3]
    straight, turned = (
        np.linalg.norm(rotations[0] - other, axis=(1, 2)) for other in rotations[1:]
    )
    return _angle(np.minimum(straight, turned))


def check_finite_poses(name: str, poses: np.ndarray) -> None:
    """Raise `InputError` unless `poses` is a finite array of shape (n, 4, 4).

    Args:
        name: Name of the array in the error message.
        poses: The array to check.
    """
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise InputError(f"{name} must have shape (n, 4, 4), got {poses.shape}")
    finite = np.isfinite(poses).all(axis=(1, 2))
    if not finite.all():
        raise InputError(
            f"{name} must be finite, but pose {finite.argmin()} has a number that is not finite"
        )


def _check_length(length: float) -> None:
    if not 0 < length < math.inf:
        raise InputError(f"length must be positive and finite, got {length}")


def check_thresholds(translation: float, rotation: float) -> None:
    """Raise `InputError` unless both thresholds are finite and at least 0.

    Args:
        translation: Distance in metres.
        rotation: Angle in radians.
    """
    for name, value in (("translation", translation), ("rotation", rotation)):
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be finite and at least 0, got {value}")

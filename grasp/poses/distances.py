"""Distances between grasps.

Poses are `T_object_grasp`, metres, arrays (n, 4, 4). Turning a parallel jaw by π about its approach
gives the same grasp, so the rotation between two grasps is everywhere the smaller of the angles
between H and H', and between H and H'·R_z(π); that turn moves no origin, so it changes no
translation. Angles are radians in [0, π].
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grasp.poses.frames import HALF_TURN
from pcdiff.errors import InputError

LENGTH = 0.1
"""ℓ, metres per radian: the length that makes translations and rotations comparable."""


TRANSLATION = 0.01
"""Metres: two grasps nearer than this and than `ROTATION` count as the same in coverage."""


ROTATION = math.radians(15)
"""Radians."""


class PoseDistances(NamedTuple):
    """Distances between each pose of one set and each of another, arrays (n, m).

    Attributes:
        rotation: the angle between them, radians, the smaller for the two turns of the jaw.
        translation: the distance between their origins, metres.
        combined: sqrt(rotation² + (translation/ℓ)²), radians.
    """

    rotation: np.ndarray
    translation: np.ndarray
    combined: np.ndarray


def pose_distances(
    a: Float[np.ndarray, "n 4 4"], b: Float[np.ndarray, "m 4 4"], length: float = LENGTH
) -> PoseDistances:
    """How far each pose of a set is from each pose of another.

    Args:
        a: poses.
        b: poses.
        length: ℓ, metres per radian.

    Raises:
        InputError: `length` is not positive, or a pose is not finite.
    """
    from scipy.spatial.distance import cdist

    _check_length(length)
    check_finite("poses", a)
    check_finite("poses", b)
    # ‖R − R'‖_F = √8·sin(θ/2) for the angle θ of RᵀR'. Distances, not products: exact near 0.
    flat_a = a[:, :3, :3].reshape(len(a), 9)
    straight = cdist(flat_a, b[:, :3, :3].reshape(len(b), 9))
    turned = cdist(flat_a, (b * HALF_TURN)[:, :3, :3].reshape(len(b), 9))
    rotation = _angle(np.minimum(straight, turned))
    translation = cdist(a[:, :3, 3], b[:, :3, 3])
    return PoseDistances(rotation, translation, np.hypot(rotation, translation / length))


def _angle(frobenius: np.ndarray) -> np.ndarray:
    return 2 * np.arcsin(np.minimum(frobenius / math.sqrt(8), 1))


def pair_angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The angle between a[i] and b[i], the smaller for the two turns of the jaw."""
    rotations = a[:, :3, :3], b[:, :3, :3], (b * HALF_TURN)[:, :3, :3]
    straight, turned = (
        np.linalg.norm(rotations[0] - other, axis=(1, 2)) for other in rotations[1:]
    )
    return _angle(np.minimum(straight, turned))


def check_finite(name: str, poses: np.ndarray) -> None:
    """Refuse poses of another shape than (n, 4, 4), or that are not finite."""
    if poses.ndim != 3 or poses.shape[1:] != (4, 4):
        raise InputError(f"{name} must be of shape (n, 4, 4), got {poses.shape}")
    finite = np.isfinite(poses).all(axis=(1, 2))
    if not finite.all():
        raise InputError(f"{name} must be finite, but pose {finite.argmin()} is not")


def _check_length(length: float) -> None:
    if not 0 < length < math.inf:
        raise InputError(f"length must be positive and finite, got {length}")


def check_thresholds(translation: float, rotation: float) -> None:
    """Refuse thresholds that are not lengths and angles from 0."""
    for name, value in (("translation", translation), ("rotation", rotation)):
        if not 0 <= value < math.inf:
            raise InputError(f"{name} must be 0 or more and finite, got {value}")

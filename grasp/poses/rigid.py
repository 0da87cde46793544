"""Checks that poses are rigid transforms."""

from __future__ import annotations

import numpy as np

from pcdiff.errors import InputError

ORTHONORMALITY_TOLERANCE = 1e-4
"""Largest accepted difference between entries of RᵀR and of the identity, for a rotation R."""


def check_poses(name: str, poses: np.ndarray) -> None:
    """Check that an array of shape (n, 4, 4) contains rigid transforms.

    Args:
        name: Name of one pose in the error message, e.g. "grasp".
        poses: The array to check; n may be 0.

    Raises:
        InputError: If the array has another shape, or a pose is not a rigid transform. The message
            states the index of the first invalid pose.
    """
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or poses.dtype.kind != "f":
        raise InputError(
            f"the {name} poses must be a floating-point array of shape (n, 4, 4), "
            f"got {poses.dtype} of shape {poses.shape}"
        )
    finite = np.isfinite(poses).all(axis=(1, 2))
    if not finite.all():
        raise InputError(f"the pose of {name} {finite.argmin()} has a number that is not finite")
    fine = (np.abs(poses[:, 3] - [0, 0, 0, 1]) <= 1e-6).all(axis=1)
    if not fine.all():
        first = int(fine.argmin())
        raise InputError(
            f"the last row of the pose of {name} {first} must be 0 0 0 1, "
            f"got {' '.join(f'{number:g}' for number in poses[first, 3])}"
        )
    rotations = poses[:, :3, :3].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # huge entries are refused below
        off = np.abs(np.swapaxes(rotations, 1, 2) @ rotations - np.eye(3)).max(axis=(1, 2))
    fine = off <= ORTHONORMALITY_TOLERANCE
    if not fine.all():
        first = int(fine.argmin())
        raise InputError(
            f"the rotation of {name} {first} is not orthonormal: RᵀR differs from the identity by "
            f"{off[first]:.3g}, expected at most {ORTHONORMALITY_TOLERANCE:g}"
        )
    fine = np.linalg.det(rotations) > 0
    if not fine.all():
        raise InputError(f"the rotation of {name} {fine.argmin()} is a reflection")

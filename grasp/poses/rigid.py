"""Whether poses are rigid transforms."""

from __future__ import annotations

import numpy as np

from pcdiff.errors import InputError

ORTHONORMAL_WITHIN = 1e-4
"""How far an entry of RᵀR may be from the identity's in a pose that is accepted."""


def check_poses(name: str, poses: np.ndarray) -> None:
    """Refuse what is not an array (n, 4, 4) of rigid transforms.

    Args:
        name: what the message calls one of them, e.g. "grasp".
        poses: the array; n may be 0.

    Raises:
        InputError: with the number of the first pose that is wrong, counted from 0.
    """
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or poses.dtype.kind != "f":
        raise InputError(
            f"the {name} poses must be floating point of shape (n, 4, 4), "
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
    with np.errstate(over="ignore", invalid="ignore"):  # a huge entry is refused below
        off = np.abs(np.swapaxes(rotations, 1, 2) @ rotations - np.eye(3)).max(axis=(1, 2))
    fine = off <= ORTHONORMAL_WITHIN
    if not fine.all():
        first = int(fine.argmin())
        raise InputError(
            f"the rotation of {name} {first} is not orthonormal: RᵀR is {off[first]:.3g} off the "
            f"identity, more than {ORTHONORMAL_WITHIN:g}"
        )
    fine = np.linalg.det(rotations) > 0
    if not fine.all():
        raise InputError(f"the rotation of {name} {fine.argmin()} is a reflection")

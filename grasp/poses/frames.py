"""Frames of the hand that grasp poses may describe, and conversions between the frames.

Everywhere in this package a grasp is `T_object_grasp`: the pose of the gripper frame in the frame
of the object's mesh file. The gripper frame has its origin at the base of the hand, +z along the
approach and +x along the closing direction, as in ACRONYM (Eppner, Mousavian and Fox 2021) and
GraspGen (`docs/GRIPPER_DESCRIPTION.md` in its repository).

The robot descriptions that Franka Emika publishes (`franka_description`, `panda_arm.urdf.xacro` and
`hand.xacro`) use three other frames, each fixed to the same hand:

- `panda_hand` has the origin and the approach axis of the gripper frame, but its fingers close
  along the y axis.
- `panda_flange` is the URDF's `panda_link8`. The hand is mounted on the flange with a rotation of
  −45° around the z axis.
- `panda_link7` is the last moving link; the flange lies 0.107 m further along the z axis.

A parallel jaw that is turned by π around its approach axis makes an equivalent grasp, so
`T_hand_grasp` may be R_z(π/2) or R_z(−π/2). This module always uses R_z(π/2), so `to_frame` and
`from_frame` are exact inverses. A pose from other software may differ from our pose of an
equivalent grasp by a half turn.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pcdiff.errors import InputError

FLANGE_OFFSET = 0.107
"""Distance in metres from the origin of `panda_link7` to the origin of the flange, along z."""

HALF_TURN = (-1.0, -1.0, 1.0, 1.0)
"""Factors for the columns of a pose H: H * HALF_TURN is the equivalent grasp H·R_z(π)."""


def rotation_about_z(angle: float) -> Float[np.ndarray, "4 4"]:
    """Return the rigid transform that rotates around the z axis.

    Args:
        angle: Angle in radians.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.eye(4)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    return turn


def inverse(transforms: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """Return the inverses (Rᵀ, −Rᵀt) of rigid transforms (R, t)."""
    result = np.zeros_like(transforms)
    result[..., :3, :3] = np.swapaxes(transforms[..., :3, :3], -1, -2)
    result[..., :3, 3:] = -result[..., :3, :3] @ transforms[..., :3, 3:]
    result[..., 3, 3] = 1
    return result


def axes(approach: str, closing: str) -> Float[np.ndarray, "4 4"]:
    """Return `T_frame_grasp` for a frame at the hand's base with other approach and closing axes.

    Args:
        approach: Axis along which the hand approaches: "+x", "-x", "+y", "-y", "+z" or "-z".
        closing: Axis along which the fingers close: "+x", "-x", "+y", "-y", "+z" or "-z".

    Raises:
        InputError: If an axis has an unknown name, or the two axes are parallel.
    """
    z, x = _axis("approach", approach), _axis("closing", closing)
    if z @ x != 0:
        raise InputError(
            f"the approach and closing axes must be perpendicular, got {approach} and {closing}"
        )
    T_frame_grasp = np.eye(4)
    T_frame_grasp[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    return T_frame_grasp


def _axis(name: str, axis: str) -> Float[np.ndarray, "3"]:
    if len(axis) != 2 or axis[0] not in "+-" or axis[1] not in "xyz":
        raise InputError(f"the {name} axis must be one of +x, -x, +y, -y, +z, -z, got {axis!r}")
    return np.eye(3)["xyz".index(axis[1])] * (1 if axis[0] == "+" else -1)


T_HAND_GRASP = axes("+z", "+y")
"""Pose of the gripper frame in the frame `panda_hand`: exactly R_z(π/2), because the fingers close
along the y axis of `panda_hand`."""

T_FLANGE_HAND = rotation_about_z(-math.pi / 4)
"""Pose of `panda_hand` in the frame `panda_flange`: roll, pitch and yaw (0, 0, −π/4) and no
translation, as in the URDF's joint `panda_hand_joint`."""

T_LINK7_FLANGE = np.eye(4)
"""Pose of `panda_flange` in the frame `panda_link7`: a translation by `FLANGE_OFFSET` along z and
no rotation, as in the URDF's joint `panda_joint8`."""
T_LINK7_FLANGE[2, 3] = FLANGE_OFFSET

FRAMES = {
    "gripper": np.eye(4),
    "panda_hand": T_HAND_GRASP,
    "panda_flange": T_FLANGE_HAND @ T_HAND_GRASP,
    "panda_link7": T_LINK7_FLANGE @ T_FLANGE_HAND @ T_HAND_GRASP,
}
"""For each named frame, the pose `T_frame_grasp` of the gripper frame in the named frame."""

for _transform in (T_HAND_GRASP, T_FLANGE_HAND, T_LINK7_FLANGE, *FRAMES.values()):
    _transform.setflags(write=False)


def named_frame(name: str) -> Float[np.ndarray, "4 4"]:
    """Return the pose `T_frame_grasp` of the gripper frame in a named frame.

    Args:
        name: Name of the frame, a key of `FRAMES`.

    Raises:
        InputError: If there is no frame with this name.
    """
    if name not in FRAMES:
        raise InputError(f"the frame must be one of {', '.join(FRAMES)}, got {name!r}")
    return FRAMES[name]


def to_frame(
    T_object_grasp: Float[np.ndarray, "*batch 4 4"], frame: str
) -> Float[np.ndarray, "*batch 4 4"]:
    """Convert poses of the gripper frame to poses of another frame of the hand.

    T_object_frame = T_object_grasp · T_frame_grasp⁻¹.

    Args:
        T_object_grasp: Poses of the gripper frame in the object's frame, or in any other fixed
            frame, such as the world frame.
        frame: Name of the other frame of the hand, a key of `FRAMES`.

    Raises:
        InputError: If there is no frame with this name.
    """
    return T_object_grasp @ inverse(named_frame(frame))


def from_frame(
    T_object_frame: Float[np.ndarray, "*batch 4 4"], frame: str
) -> Float[np.ndarray, "*batch 4 4"]:
    """Convert poses of another frame of the hand to poses of the gripper frame.

    T_object_grasp = T_object_frame · T_frame_grasp. The function is the inverse of `to_frame`.

    Args:
        T_object_frame: Poses of the other frame of the hand in the object's frame, or in any other
            fixed frame, such as the world frame.
        frame: Name of the other frame of the hand, a key of `FRAMES`.

    Raises:
        InputError: If there is no frame with this name.
    """
    return T_object_frame @ named_frame(frame)

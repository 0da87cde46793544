"""The frames that a grasp pose may be of, and the way from each to ours and back.

Everywhere in this package a grasp is `T_object_grasp`: the pose of the gripper frame in the frame
of the object's mesh file. The gripper frame has its origin at the base of the hand, +z along the
approach and +x along the closing direction, as in ACRONYM (Eppner, Mousavian and Fox 2021) and
GraspGen (`docs/GRIPPER_DESCRIPTION.md` of its repository).

The robot descriptions that Franka Emika publishes (`franka_description`, `panda_arm.urdf.xacro` and
`hand.xacro`) use three other frames for the same hand, each fixed to it:

- `panda_hand`: the same origin and approach, but the fingers close along y;
- `panda_flange`, the URDF's `panda_link8`: the hand is mounted on it turned by −45° about z;
- `panda_link7`, the last moving link: the flange is 0.107 m further along z.

A parallel jaw turned by π about its approach is the same jaw, so `T_hand_grasp` may be R_z(π/2) or
R_z(−π/2). R_z(π/2) is used throughout, which makes each pair of converters exact inverses; a pose
that comes from other software may differ from ours by that half turn and be the same grasp.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from pcdiff.errors import InputError

FLANGE_OFFSET = 0.107
"""Metres from the origin of `panda_link7` to that of the flange, along z."""


HALF_TURN = (-1.0, -1.0, 1.0, 1.0)
"""Times the columns of a pose H, this is H·R_z(π): of a parallel jaw the same grasp."""


def rotation_about_z(angle: float) -> Float[np.ndarray, "4 4"]:
    """The rigid transform that turns by an angle about z.

    Args:
        angle: radians.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.eye(4)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    return turn


def inverse(transforms: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """The inverse (Rᵀ, −Rᵀt) of rigid transforms (R, t)."""
    result = np.zeros_like(transforms)
    result[..., :3, :3] = np.swapaxes(transforms[..., :3, :3], -1, -2)
    result[..., :3, 3:] = -result[..., :3, :3] @ transforms[..., :3, 3:]
    result[..., 3, 3] = 1
    return result


def axes(approach: str, closing: str) -> Float[np.ndarray, "4 4"]:
    """`T_frame_grasp` for a frame at the hand's base that approaches and closes along other axes.

    Args:
        approach: the axis along which the hand approaches: "+x", "-x", "+y", "-y", "+z" or "-z".
        closing: the axis along which the fingers close.

    Raises:
        InputError: an axis has another name, or the two are parallel.
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
        raise InputError(f"the {name} axis must be one of +x, -x, +y, -y, +z, -z, not {axis!r}")
    return np.eye(3)["xyz".index(axis[1])] * (1 if axis[0] == "+" else -1)


T_HAND_GRASP = axes("+z", "+y")
"""R_z(π/2), exactly: the gripper frame in `panda_hand`, whose fingers close along y."""

T_FLANGE_HAND = rotation_about_z(-math.pi / 4)
"""The URDF's `panda_hand_joint`: rpy = (0, 0, −π/4), no translation."""

T_LINK7_FLANGE = np.eye(4)
"""The URDF's `panda_joint8`: `FLANGE_OFFSET` along z, no rotation."""
T_LINK7_FLANGE[2, 3] = FLANGE_OFFSET

FRAMES = {
    "gripper": np.eye(4),
    "panda_hand": T_HAND_GRASP,
    "panda_flange": T_FLANGE_HAND @ T_HAND_GRASP,
    "panda_link7": T_LINK7_FLANGE @ T_FLANGE_HAND @ T_HAND_GRASP,
}
"""`T_frame_grasp` of every frame with a name: what `--frame` accepts."""

for _transform in (T_HAND_GRASP, T_FLANGE_HAND, T_LINK7_FLANGE, *FRAMES.values()):
    _transform.setflags(write=False)


def named_frame(name: str) -> Float[np.ndarray, "4 4"]:
    """`T_frame_grasp` of a frame in `FRAMES`.

    Raises:
        InputError: there is no frame of that name.
    """
    if name not in FRAMES:
        raise InputError(f"the frame must be one of {', '.join(FRAMES)}, not {name!r}")
    return FRAMES[name]


def to_frame(
    T_object_grasp: Float[np.ndarray, "*batch 4 4"], frame: str
) -> Float[np.ndarray, "*batch 4 4"]:
    """The pose of another frame of the hand when the gripper frame is at `T_object_grasp`.

    T_object_frame = T_object_grasp · T_frame_grasp⁻¹.

    Args:
        T_object_grasp: poses of the gripper frame; "object" may be any frame, also the world.
        frame: one of `FRAMES`.

    Raises:
        InputError: there is no frame of that name.
    """
    return T_object_grasp @ inverse(named_frame(frame))


def from_frame(
    T_object_frame: Float[np.ndarray, "*batch 4 4"], frame: str
) -> Float[np.ndarray, "*batch 4 4"]:
    """The pose of the gripper frame when another frame of the hand is at `T_object_frame`.

    T_object_grasp = T_object_frame · T_frame_grasp: the inverse of `to_frame`.

    Args:
        T_object_frame: poses of that frame; "object" may be any frame, also the world.
        frame: one of `FRAMES`.

    Raises:
        InputError: there is no frame of that name.
    """
    return T_object_frame @ named_frame(frame)


def to_panda_hand(
    T_object_grasp: Float[np.ndarray, "*batch 4 4"],
) -> Float[np.ndarray, "*batch 4 4"]:
    """The pose of `panda_hand`, which closes along y, for poses of the gripper frame."""
    return to_frame(T_object_grasp, "panda_hand")


def from_panda_hand(
    T_object_hand: Float[np.ndarray, "*batch 4 4"],
) -> Float[np.ndarray, "*batch 4 4"]:
    """The pose of the gripper frame for poses of `panda_hand`: the inverse of `to_panda_hand`."""
    return from_frame(T_object_hand, "panda_hand")


def to_flange(
    T_object_grasp: Float[np.ndarray, "*batch 4 4"],
) -> Float[np.ndarray, "*batch 4 4"]:
    """The pose of the Franka flange (`panda_link8`) for poses of the gripper frame."""
    return to_frame(T_object_grasp, "panda_flange")


def from_flange(
    T_object_flange: Float[np.ndarray, "*batch 4 4"],
) -> Float[np.ndarray, "*batch 4 4"]:
    """The pose of the gripper frame for poses of the flange: the inverse of `to_flange`."""
    return from_frame(T_object_flange, "panda_flange")

"""The unit and the frame of the poses in a file, and the way from there to metres and our frame."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grasp import documents
from grasp.formats.record import Grasps
from grasp.poses.frames import FRAMES, inverse, named_frame
from pcdiff.errors import InputError
from pcdiff.geometry.limits import UNITS

VERSION = 1
"""Of what our files, and our additions to ACRONYM's, say."""

METRE = "metre"
"""The unit as our files spell it."""

OBJECT_FRAME = "object mesh file"
"""The frame that poses are given in, as our files spell it: the mesh file's own."""

_SPELLINGS = {
    METRE: "m",
    "meter": "m",
    "centimetre": "cm",
    "centimeter": "cm",
    "millimetre": "mm",
    "millimeter": "mm",
    "in": "inch",
}


@dataclass(frozen=True)
class Convention:
    """What a file says about its poses.

    Attributes:
        unit: a key of `pcdiff.geometry.limits.UNITS`; None if neither the file nor its format says.
        T_frame_grasp: the gripper frame in the frame that the poses are of; None likewise.
        written: whether the file itself says so. What only the definition of its format says, an
            option may correct.
    """

    unit: str | None
    T_frame_grasp: Float[np.ndarray, "4 4"] | None
    written: bool


BY_FORMAT = Convention("m", FRAMES["gripper"], written=False)
"""Of formats whose definition says metres and the gripper frame of `grasp.poses.frames`."""


def check_version(version: object) -> None:
    """Refuse a version that is newer than this program or none at all.

    Raises:
        InputError: with both versions in the message.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(f"its version must be {VERSION}, got {documents.kind_of(version)}")
    if version > VERSION:
        raise InputError(
            f"its version is {version}, newer than the {VERSION} that this pcdiff-grasp reads: "
            "install a newer one"
        )


def unit_named(name: str) -> str:
    """The key of `UNITS` for a unit as files spell it.

    Raises:
        InputError: the unit is another one.
    """
    unit = _SPELLINGS.get(name, name)
    if unit not in UNITS:
        raise InputError(f"the unit must be one of {', '.join(UNITS)}, not {name!r}")
    return unit


def in_our_convention(
    grasps: Grasps, stated: Convention, unit: str | None, frame: str | None
) -> Grasps:
    """Grasps as a file has them, in metres and as poses of our gripper frame.

    Args:
        grasps: lengths and poses as the file has them.
        stated: what the file says about them.
        unit: what the caller says, a key of `UNITS`; None to take the file's word.
        frame: likewise, a key of `grasp.poses.frames.FRAMES`.

    Raises:
        InputError: nobody says, the caller contradicts the file, or a name is unknown.
    """
    options = {
        "unit": (stated.unit, unit, UNITS, "--grasp-unit"),
        "frame": (stated.T_frame_grasp, frame, FRAMES, "--frame"),
    }
    missing = [
        (name, f"{flag} ({', '.join(choices)})")
        for name, (said, option, choices, flag) in options.items()
        if said is None and option is None
    ]
    if missing:
        raise InputError(
            f"the file does not say the {' or the '.join(name for name, _ in missing)} of its "
            f"poses: give {' and '.join(option for _, option in missing)}"
        )

    chosen_unit = stated.unit if unit is None else unit_named(unit)
    assert chosen_unit is not None
    if stated.written and stated.unit not in (None, chosen_unit):
        raise InputError(f"the file says that its unit is {stated.unit}, so it cannot be {unit}")
    metres = UNITS[chosen_unit]

    T_frame_grasp = stated.T_frame_grasp if frame is None else named_frame(frame)
    assert T_frame_grasp is not None
    if (
        stated.written
        and stated.T_frame_grasp is not None
        and not np.allclose(stated.T_frame_grasp, T_frame_grasp, atol=1e-9)
    ):
        raise InputError(f"the file says that its poses are of another frame than {frame}")

    poses = grasps.poses.copy()
    poses[:, :3, 3] *= metres
    lengths = {
        name: getattr(grasps, name) * metres
        for name in ("width", "center_of_mass", "tool_center_point")
        if getattr(grasps, name) is not None
    }
    if not np.array_equal(T_frame_grasp, np.eye(4)):
        poses = poses @ T_frame_grasp
        if "tool_center_point" in lengths:  # a point fixed to the hand
            tip = np.append(lengths["tool_center_point"], 1)
            lengths["tool_center_point"] = (inverse(T_frame_grasp) @ tip)[:3]
    return dataclasses.replace(grasps, poses=poses, **lengths)

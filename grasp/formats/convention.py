"""Unit and frame of the poses in a file, and the conversion to metres and our gripper frame."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grasp import documents
from grasp.formats.record import Grasps
from grasp.objects.object import FILE_FRAME
from grasp.objects.object import FRAMES as OBJECT_FRAMES
from grasp.poses.frames import FRAMES, inverse, named_frame
from pcdiff.errors import InputError
from pcdiff.geometry.limits import UNITS

VERSION = 1
"""Version of our own files and of our additions to ACRONYM files."""

METRE = "metre"
"""Name of the unit of length in our files."""

OBJECT_FRAME = FILE_FRAME
"""Name that our files give to the frame of the mesh file, in which poses are expressed."""

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
    """Unit and frame of the poses in a file, as far as the file or its format states them.

    Attributes:
        unit: Unit of lengths, a key of `pcdiff.geometry.limits.UNITS`; None if no unit is stated.
        T_frame_grasp: Pose of the gripper frame in the hand's frame that the poses in the file
            describe; None if no frame is stated.
        written: True if unit and frame are stated in the file itself; the caller must not
            contradict them. False if only the format defines unit and frame; the caller may
            override them.
    """

    unit: str | None
    T_frame_grasp: Float[np.ndarray, "4 4"] | None
    written: bool


BY_FORMAT = Convention("m", FRAMES["gripper"], written=False)
"""Convention of formats that define lengths in metres and poses of our gripper frame."""


def check_version(version: object) -> None:
    """Raise `InputError` if this program cannot read files of the stated version.

    Args:
        version: Version that the file states.

    Raises:
        InputError: If the version is too new, or is not a whole number of at least 1.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(
            f"the version of the file must be {VERSION}, got {documents.kind_of(version)}"
        )
    if version > VERSION:
        raise InputError(
            f"the version of the file must be at most {VERSION}, got {documents.kind_of(version)}: "
            "install a newer pcdiff-grasp"
        )


def unit_named(name: str) -> str:
    """Return the key in `UNITS` for the name of a unit in a file.

    Args:
        name: Name of the unit, e.g. "metre" or "m".

    Raises:
        InputError: If the unit is unknown.
    """
    unit = _SPELLINGS.get(name, name)
    if unit not in UNITS:
        raise InputError(f"the unit must be one of {', '.join(UNITS)}, got {name!r}")
    return unit


def in_our_convention(
    grasps: Grasps, stated: Convention, unit: str | None, frame: str | None
) -> Grasps:
    """Convert grasps from a file's convention to metres and poses of our gripper frame.

    Args:
        grasps: Grasps whose lengths and poses are still in the file's convention.
        stated: Convention that the file or its format states.
        unit: Unit from the caller, a key of `UNITS`; None to rely on the file.
        frame: Frame from the caller, a key of `grasp.poses.frames.FRAMES`; None to rely on the
            file.

    Raises:
        InputError: If the unit or the frame is stated by neither the file nor the caller, the
            caller contradicts the file, or a name is unknown.
    """
    known = {
        "unit": (stated.unit, unit, UNITS),
        "frame": (stated.T_frame_grasp, frame, FRAMES),
    }
    missing = {
        name: f"the {name} ({', '.join(choices)})"
        for name, (from_file, from_caller, choices) in known.items()
        if from_file is None and from_caller is None
    }
    if missing:
        raise InputError(
            f"the file does not state the {' or the '.join(missing)} of its poses: supply "
            f"{' and '.join(missing.values())}",
            parameter=f"pose_{'_and_'.join(missing)}",
        )

    chosen_unit = stated.unit if unit is None else unit_named(unit)
    assert chosen_unit is not None
    if stated.written and stated.unit not in (None, chosen_unit):
        raise InputError(
            f"the file states the unit {stated.unit}, which contradicts the requested unit {unit}"
        )
    metres = UNITS[chosen_unit]

    T_frame_grasp = stated.T_frame_grasp if frame is None else named_frame(frame)
    assert T_frame_grasp is not None
    if (
        stated.written
        and stated.T_frame_grasp is not None
        and not np.allclose(stated.T_frame_grasp, T_frame_grasp, atol=1e-9)
    ):
        raise InputError(
            f"the file states a frame for its poses that contradicts the requested frame {frame}"
        )

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


def object_frame(stated: str | None) -> str:
    """Return the frame of the poses that a file states; `OBJECT_FRAME` if it states none.

    Args:
        stated: Name of the frame in the file.

    Raises:
        InputError: If the name is unknown.
    """
    if stated not in (None, *OBJECT_FRAMES):
        known = " or ".join(map(repr, OBJECT_FRAMES))
        raise InputError(f"the poses must be in the frame {known}, got {stated!r}")
    return stated or OBJECT_FRAME

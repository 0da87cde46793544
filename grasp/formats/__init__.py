"""Grasp files: seven formats, with one reader and one writer for all of them.

| format | files | description |
|---|---|---|
| `pcdiff` | `.json` | our own JSON, which contains all fields of `Grasps` with unit and frame |
| `acronym` | `.h5`, `.hdf5` | the HDF5 of ACRONYM, with labels for training |
| `graspgen` | `.json` | the JSON of GraspGen's data set |
| `isaac` | `.yaml`, `.yml` | the YAML of the Isaac tools, which GraspGen uses for its samples |
| `position_quaternion` | `.csv` | a table of positions and quaternions |
| `graspnet` | `.npy` | the arrays of GraspNet-1Billion |
| `contact_graspnet` | `.npz` | the predictions of Contact-GraspNet as plain arrays |

If neither a file nor its format defines the unit or the frame of the poses, the caller of the
reader must supply them.
"""

from __future__ import annotations

import os
from pathlib import Path

from grasp import documents
from grasp.formats import (
    acronym,
    contact_graspnet,
    graspgen,
    graspnet,
    isaac,
    pcdiff_json,
    position_quaternion,
)
from grasp.formats.convention import OBJECT_FRAME, Convention, in_our_convention
from grasp.formats.record import PER_GRASP, Grasps
from grasp.formats.single import Grasp
from grasp.grippers.gripper import Gripper, load_gripper, shipped_grippers
from grasp.poses.frames import FRAMES, named_frame
from pcdiff.errors import InputError
from pcdiff.files import atomic_write
from pcdiff.geometry.limits import UNITS

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "FRAMES",
    "OBJECT_FRAME",
    "PER_GRASP",
    "UNITS",
    "Grasp",
    "Grasps",
    "check_grasp_path",
    "convert_grasps",
    "read_grasps",
    "write_grasps",
]

FORMATS = {
    "pcdiff": (".json",),
    "acronym": (".h5", ".hdf5"),
    "graspgen": (".json",),
    "isaac": (".yaml", ".yml"),
    "position_quaternion": (".csv",),
    "graspnet": (".npy",),
    "contact_graspnet": (".npz",),
}
"""Extensions of each format. If only the extension is known, it stands for the first format
that lists it."""

EXTENSIONS = {suffix: name for name, suffixes in reversed(FORMATS.items()) for suffix in suffixes}
"""For each extension of a grasp file, the format for which the extension stands."""

ANY_HAND_FRAME = ("isaac", "position_quaternion")
"""Formats that can state poses of every frame in `grasp.poses.frames.FRAMES`."""


def check_grasp_path(path: str | os.PathLike[str]) -> str:
    """Check that the extension of a file to write stands for a format.

    Callers check the name before a long computation, so that the result is not lost because of a
    wrong extension.

    Args:
        path: File to write.

    Returns:
        The format for which the extension stands.

    Raises:
        InputError: If no format has the extension.
    """
    format = EXTENSIONS.get(Path(path).suffix.lower())
    if format is None:
        raise InputError(f"cannot write {path}: expected the extension {_listed(list(EXTENSIONS))}")
    return format


def read_grasps(
    path: str | os.PathLike[str],
    *,
    frame: str | None = None,
    unit: str | None = None,
    gripper: str | os.PathLike[str] | Gripper | None = None,
    object_id: str | int | None = None,
) -> Grasps:
    """Read a grasp file in any of our formats.

    The extension and, for JSON, the content determine the format.

    Args:
        path: File to read.
        frame: Frame of the hand that the poses in the file describe, a key of
            `grasp.poses.frames.FRAMES`. Required if the file does not state the frame.
        unit: Unit of the lengths, a key of `UNITS`. Required if the file does not state the unit.
        gripper: Gripper, its name, or its .toml file. Required for `graspnet`, whose poses can be
            converted only if the gripper is known; other formats ignore it.
        object_id: Id of an object in a `graspnet` or `contact_graspnet` file. Required if the file
            has grasps of several objects; other formats ignore it.

    Returns:
        The grasps in the order of the file, in metres and as poses of our gripper frame.

    Raises:
        InputError: If the file is missing, damaged, in another format, or newer than this program;
            the unit or the frame is stated by neither the file nor the caller, or file and caller
            contradict each other; a pose is not a rigid transform; the number of entries in an
            array differs from the number of poses; or the file contains neither grasps nor a reason
            for their absence.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in EXTENSIONS:
        raise InputError(
            f"{path} is not a grasp file: expected the extension {_listed(list(EXTENSIONS))}"
        )
    if not path.is_file():
        there = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {there}")
    try:
        hand = _loaded(gripper)
        chosen = None if object_id is None else str(object_id)
        grasps, stated = _read(path, EXTENSIONS[suffix], hand, chosen)
        grasps = in_our_convention(grasps, stated, unit, frame)
        if not len(grasps) and not grasps.reason:
            raise InputError("the file contains neither grasps nor a reason for their absence")
    except InputError as error:
        raise InputError(f"{path} cannot be read: {error}", parameter=error.parameter) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return grasps


def write_grasps(
    path: str | os.PathLike[str],
    grasps: Grasps,
    *,
    format: str | None = None,
    frame: str = "gripper",
    gripper: str | os.PathLike[str] | Gripper | None = None,
) -> None:
    """Write grasps to a file.

    Grasps with a probability of success or an energy are sorted, best first. The file is written
    completely or not at all.

    Args:
        path: File to write; an existing file is replaced.
        grasps: The grasps; `Grasps.ranked` determines their order in the file.
        format: A key of `FORMATS`. If None, the extension determines the format, and `.json` means
            "pcdiff".
        frame: Frame of the hand that the written poses describe, a key of
            `grasp.poses.frames.FRAMES`. Only `isaac` and `position_quaternion` support frames other
            than our gripper frame.
        gripper: Gripper, its name, or its .toml file, for the formats `graspnet` and
            `contact_graspnet`; None means the shipped gripper that the grasps name.

    Raises:
        InputError: If the extension or the format is unknown, or they do not match; there are no
            grasps and no reason is given; `graspnet` needs a gripper that is not known; or the file
            cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if format is None:
        format = check_grasp_path(path)
    elif format not in FORMATS:
        raise InputError(f"the format must be one of {', '.join(FORMATS)}, got {format!r}")
    elif suffix not in FORMATS[format]:
        raise InputError(
            f"cannot write {path}: the format {format} needs the extension "
            f"{_listed(FORMATS[format])}"
        )
    if named_frame(frame) is not FRAMES["gripper"] and format not in ANY_HAND_FRAME:
        raise InputError(
            f"cannot write {path}: the frame must be 'gripper' for the format {format}, "
            f"got {frame!r}"
        )
    if not len(grasps) and not grasps.reason:
        raise InputError(
            f"cannot write {path}: there are no grasps, and grasps.reason states no reason"
        )

    grasps = grasps.ranked()
    if format == "acronym":
        acronym.write(path, grasps)
        return
    if format in ("graspnet", "contact_graspnet"):
        hand = _hand_of(Path(path), format, grasps, gripper)
        with atomic_write(path) as temporary:
            if format == "graspnet":
                assert hand is not None
                graspnet.write(temporary, grasps, hand)
            else:
                contact_graspnet.write(temporary, {"": grasps}, hand)
        return
    if format in ANY_HAND_FRAME:
        dump = {"isaac": isaac.dump, "position_quaternion": position_quaternion.dump}[format]
        text = dump(grasps, frame)
    else:
        text = {"pcdiff": pcdiff_json.dump, "graspgen": graspgen.dump}[format](grasps)
    with atomic_write(path) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")


def convert_grasps(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,
    hand_frame: str = "gripper",
    frame: str | None = None,
    unit: str | None = None,
    gripper: str | os.PathLike[str] | Gripper | None = None,
    object_id: str | int | None = None,
) -> Grasps:
    """Read a grasp file and write its grasps in another format.

    Args:
        source: File to read.
        target: File to write; an existing file is replaced.
        format: Format to write, as in `write_grasps`.
        hand_frame: Frame of the hand that the written poses describe, as in `write_grasps`.
        frame: Frame of the poses in `source`, as in `read_grasps`.
        unit: Unit of the lengths in `source`, as in `read_grasps`.
        gripper: Gripper, its name, or its .toml file; None means the gripper that `source` names.
        object_id: Id of an object in `source`, as in `read_grasps`.

    Returns:
        The grasps as read.

    Raises:
        InputError: For the reasons listed in `read_grasps` and `write_grasps`.
    """
    grasps = read_grasps(source, frame=frame, unit=unit, gripper=gripper, object_id=object_id)
    write_grasps(target, grasps, format=format, frame=hand_frame, gripper=gripper)
    return grasps


def _read(
    path: Path, format: str, gripper: Gripper | None, object_id: str | None
) -> tuple[Grasps, Convention]:
    """Read the grasps of a file whose extension stands for a format."""
    if format == "acronym":
        return acronym.read(path)
    if format == "position_quaternion":
        return position_quaternion.read(path)
    if format == "graspnet":
        return graspnet.read(path, gripper, object_id)
    if format == "contact_graspnet":
        return contact_graspnet.read(path, object_id)
    return _parse(path)


def _loaded(gripper: str | os.PathLike[str] | Gripper | None) -> Gripper | None:
    return gripper if gripper is None or isinstance(gripper, Gripper) else load_gripper(gripper)


def _hand_of(
    path: str | os.PathLike[str],
    format: str,
    grasps: Grasps,
    gripper: str | os.PathLike[str] | Gripper | None,
) -> Gripper | None:
    """Return the gripper of grasps to write, which `graspnet` needs; None if it is unknown."""
    if gripper is not None:
        return _loaded(gripper)
    if grasps.hand is not None:
        return grasps.hand
    named = grasps.gripper
    if named in shipped_grippers():  # the name may come from a file, so it must open no other file
        return load_gripper(str(named))
    if format != "graspnet":  # it only adds the contact points
        return None
    raise InputError(
        f"cannot write {path}: the format graspnet needs the gripper of the grasps, "
        f"got {documents.kind_of(named)}",
        parameter="gripper",
    )


def _parse(path: Path) -> tuple[Grasps, Convention]:
    """Parse the grasps of a JSON or YAML file; its content determines the format."""
    document = documents.read_document(path)
    named = document.get("format")
    if named == pcdiff_json.FORMAT:
        return pcdiff_json.parse(document)
    if named == isaac.FORMAT:
        return isaac.parse(document)
    if named is not None:
        raise InputError(
            f"the format of the file must be {pcdiff_json.FORMAT} or {isaac.FORMAT}, "
            f"got {documents.kind_of(named)}"
        )
    grasps = document.get("grasps")
    if isinstance(grasps, dict) and "transforms" in grasps:
        return graspgen.parse(document)
    raise InputError(
        f"the file has neither a format ({pcdiff_json.FORMAT} or {isaac.FORMAT}) nor the "
        "grasps.transforms of GraspGen"
    )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    """Join names to an English list with "or" before the last name."""
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]

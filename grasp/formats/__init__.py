"""Grasp files: four formats, with one reader and one writer for all of them.

| format | files | description |
|---|---|---|
| `pcdiff` | `.json` | our own JSON, which contains all fields of `Grasps` with unit and frame |
| `acronym` | `.h5`, `.hdf5` | the HDF5 of ACRONYM, with labels for training |
| `graspgen` | `.json` | the JSON of GraspGen's data set |
| `isaac` | `.yaml`, `.yml` | the YAML of the Isaac tools, which GraspGen uses for its samples |

If neither a file nor its format defines the unit or the frame of the poses, the caller of the
reader must supply them.
"""

from __future__ import annotations

import os
from pathlib import Path

from grasp import documents
from grasp.formats import acronym, graspgen, isaac, pcdiff_json
from grasp.formats.convention import OBJECT_FRAME, Convention, in_our_convention
from grasp.formats.record import PER_GRASP, Grasps
from grasp.formats.single import Grasp
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
    "read_grasps",
    "write_grasps",
]

FORMATS = {
    "pcdiff": (".json",),
    "acronym": (".h5", ".hdf5"),
    "graspgen": (".json",),
    "isaac": (".yaml", ".yml"),
}
"""Extensions of each format. If only the extension is known, it stands for the first format
that lists it."""

EXTENSIONS = {suffix: name for name, suffixes in reversed(FORMATS.items()) for suffix in suffixes}
"""For each extension of a grasp file, the format for which the extension stands."""


def check_grasp_path(path: str | os.PathLike[str]) -> str:
    """Check that the extension of a file to write stands for a format.

    Callers check the name before a long computation, so that the result is not lost
    because of a wrong extension.

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
    path: str | os.PathLike[str], *, frame: str | None = None, unit: str | None = None
) -> Grasps:
    """Read a grasp file in any of our formats.

    The extension distinguishes HDF5, JSON and YAML; the content determines the format.

    Args:
        path: File to read.
        frame: Frame of the hand that the poses in the file describe, a key of
            `grasp.poses.frames.FRAMES`. Required if the file does not state the frame.
        unit: Unit of the lengths, a key of `UNITS`. Required if the file does not state the unit.

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
        grasps, stated = acronym.read(path) if suffix in FORMATS["acronym"] else _parse(path)
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
            `grasp.poses.frames.FRAMES`. Only `isaac` supports frames other than our gripper frame.

    Raises:
        InputError: If the extension or the format is unknown, or they do not match; there are no
            grasps and no reason is given; or the file cannot be written.
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
    if named_frame(frame) is not FRAMES["gripper"] and format != "isaac":
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
    if format == "isaac":
        text = isaac.dump(grasps, frame)
    else:
        text = {"pcdiff": pcdiff_json.dump, "graspgen": graspgen.dump}[format](grasps)
    with atomic_write(path) as temporary:
        temporary.write_text(text, "utf-8")


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

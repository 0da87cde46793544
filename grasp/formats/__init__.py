"""Grasp files: one record, four formats, one reader and one writer.

| format | files | what it is |
|---|---|---|
| `pcdiff` | `.json` | ours: everything that is known, and its unit and frame |
| `acronym` | `.h5`, `.hdf5` | ACRONYM's HDF5: labels for training |
| `graspgen` | `.json` | the JSON of GraspGen's data set |
| `isaac` | `.yaml`, `.yml` | the YAML of the Isaac tools, in which GraspGen writes samples |

A file that does not state the unit or the frame of its poses, and whose format does not either, is
refused with a sentence that asks for them.
"""

from __future__ import annotations

import os
from pathlib import Path

from grasp import documents
from grasp.formats import acronym, graspgen, isaac, pcdiff_json
from grasp.formats.convention import OBJECT_FRAME, Convention, in_our_convention
from grasp.formats.record import PER_GRASP, Grasps
from grasp.poses.frames import FRAMES, named_frame
from pcdiff.errors import InputError
from pcdiff.files import atomic_write
from pcdiff.geometry.limits import UNITS

__all__ = [
    "FORMATS",
    "FRAMES",
    "OBJECT_FRAME",
    "PER_GRASP",
    "UNITS",
    "Grasps",
    "read_grasps",
    "write_grasps",
]

FORMATS = {
    "pcdiff": (".json",),
    "acronym": (".h5", ".hdf5"),
    "graspgen": (".json",),
    "isaac": (".yaml", ".yml"),
}
"""The extensions of each format; an extension alone means the first that has it."""

_EXTENSIONS = {suffix: name for name, suffixes in reversed(FORMATS.items()) for suffix in suffixes}


def read_grasps(
    path: str | os.PathLike[str], *, frame: str | None = None, unit: str | None = None
) -> Grasps:
    """Read a grasp file of any of our formats.

    The extension tells HDF5, JSON and YAML apart, the content which format it is.

    Args:
        path: the file.
        frame: the frame that the poses are of, one of `grasp.poses.frames.FRAMES`, given in the
            frame of the mesh file. Needed where the file does not say.
        unit: the unit of lengths, one of `UNITS`. Needed where the file does not say.

    Returns:
        The grasps in metres, as poses of our gripper frame, in the order of the file.

    Raises:
        InputError: the file is missing, damaged, of another format, or newer than this program;
            it does not say its unit or frame and nor does the caller, or the two contradict each
            other; a pose is not a rigid transform, an array has another length than the poses; or
            there are no grasps and no reason is given.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _EXTENSIONS:
        raise InputError(
            f"{path} is not a grasp file: expected the extension {_listed(list(_EXTENSIONS))}"
        )
    if not path.is_file():
        there = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {there}")
    try:
        grasps, stated = acronym.read(path) if suffix in FORMATS["acronym"] else _parse(path)
        grasps = in_our_convention(grasps, stated, unit, frame)
        if not len(grasps) and not grasps.reason:
            raise InputError("it holds no grasps and does not say why")
    except InputError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
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
    """Write grasps to a file completely or not at all, best first where they have a score.

    Args:
        path: the file; one that exists is replaced.
        grasps: what to write, as `Grasps.ranked` orders it.
        format: one of `FORMATS`; None for what the extension says, which is ours for `.json`.
        frame: the frame of the hand to write poses of. Only `isaac` can state another one than
            ours.

    Raises:
        InputError: the extension or the format is another one, or they do not belong together;
            there are no grasps and no reason is given; or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if format is None:
        format = _EXTENSIONS.get(suffix)
        if format is None:
            raise InputError(
                f"cannot write {path}: expected the extension {_listed(list(_EXTENSIONS))}"
            )
    elif format not in FORMATS:
        raise InputError(f"the format must be one of {', '.join(FORMATS)}, not {format!r}")
    elif suffix not in FORMATS[format]:
        raise InputError(
            f"cannot write {path}: the format {format} has the extension {_listed(FORMATS[format])}"
        )
    if named_frame(frame) is not FRAMES["gripper"] and format != "isaac":
        raise InputError(f"cannot write {path}: the format {format} cannot state frame {frame!r}")
    if not len(grasps) and not grasps.reason:
        raise InputError(f"cannot write {path}: there are no grasps and no reason for that")

    grasps = grasps.ranked()
    if format == "acronym":
        with atomic_write(path) as temporary:
            acronym.write(temporary, grasps)
        return
    if format == "isaac":
        text = isaac.dump(grasps, frame)
    else:
        text = {"pcdiff": pcdiff_json.dump, "graspgen": graspgen.dump}[format](grasps)
    with atomic_write(path) as temporary:
        temporary.write_text(text, "utf-8")


def _parse(path: Path) -> tuple[Grasps, Convention]:
    """The grasps of a JSON or YAML file, whichever format is in it."""
    document = documents.read_document(path)
    named = document.get("format")
    if named == pcdiff_json.FORMAT:
        return pcdiff_json.parse(document)
    if named == isaac.FORMAT:
        return isaac.parse(document)
    if named is not None:
        raise InputError(
            f"its format must be {pcdiff_json.FORMAT} or {isaac.FORMAT}, "
            f"got {documents.kind_of(named)}"
        )
    grasps = document.get("grasps")
    if isinstance(grasps, dict) and "transforms" in grasps:
        return graspgen.parse(document)
    raise InputError(
        f"it has neither a format ({pcdiff_json.FORMAT} or {isaac.FORMAT}) nor GraspGen's "
        "grasps.transforms"
    )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]

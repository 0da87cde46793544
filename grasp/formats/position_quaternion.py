"""A table of positions and quaternions with one row per grasp, in a .csv file.

The first line is a comment that states the unit, the frames and what else is known, as JSON. The
second line names the columns:

    # {"format": "pcdiff-grasp/poses", "version": 1, "unit": "metre", "frame": "object mesh file",
       "hand_frame": "gripper", "quaternion": "quaternion_xyzw", "gripper": "panda", …}
    x,y,z,qx,qy,qz,qw,width,probability,energy

(The comment is one line in the file.) A row is the pose of `hand_frame`, a name in
`grasp.poses.frames.FRAMES`, in the frame of the object's mesh file: the position in metres and the
unit quaternion with its scalar part last. The opening of the hand `width` is in metres, and
`probability` is the probability of success. A cell is empty if its value is unknown. Our files have
further columns for labels (`success`, `in_collision`, `failure`) if they are known. The reader also
accepts tables without the comment; the caller must then supply the unit and the frame.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from grasp import documents
from grasp.formats.convention import (
    METRE,
    OBJECT_FRAME,
    VERSION,
    Convention,
    check_version,
    unit_named,
)
from grasp.formats.record import COLUMNS, Grasps
from grasp.poses.frames import named_frame, to_frame
from pcdiff.errors import InputError
from pcdiff.untrusted import read_bytes

FORMAT = "pcdiff-grasp/poses"

POSITION, QUATERNION_XYZW = ("x", "y", "z"), ("qx", "qy", "qz", "qw")
"""Names of the columns of every table."""

_ALWAYS = ("width", "success_probability", "energy")
_NAMES = {name: "probability" if name == "success_probability" else name for name in COLUMNS}


def read(path: str | os.PathLike[str]) -> tuple[Grasps, Convention]:
    """Read the grasps of a table, and the unit and frame that its comment states.

    Args:
        path: File to read.

    Raises:
        InputError: If the file is too large, is not a table, lacks a column, or has a cell of the
            wrong type.
    """
    text = _text(Path(path))
    about: dict[str, Any] = {}
    if text.startswith("#"):
        comment, _, text = text.partition("\n")
        about = documents.mapping("the comment", documents.parse_json(comment.lstrip("# ")))
        if about.get("format") != FORMAT:
            raise InputError(
                f"the format of the table must be {FORMAT}, "
                f"got {documents.kind_of(about.get('format'))}"
            )
        check_version(about.get("version"))
        if about.get("frame") != OBJECT_FRAME:
            raise InputError(
                f"the poses must be in the frame {OBJECT_FRAME!r}, "
                f"got {documents.kind_of(about.get('frame'))}"
            )
    rows = _rows(text)
    poses = documents.stack([_pose(number, row) for number, row in enumerate(rows)])
    arrays: dict[str, Any] = {}
    for name, (_, dtype) in COLUMNS.items():
        cells = [row.get(_NAMES[name]) for row in rows]
        # An empty text is the code of a success, so only the other columns can be empty.
        if any(cell is not None if name == "failure" else cell for cell in cells):
            arrays[name] = np.array([_entry(i, name, cell) for i, cell in enumerate(cells)], dtype)
    scale = documents.optional(about, "object_scale", documents.number)
    tip = documents.optional(about, "tool_center_point", documents.vector)
    grasps = Grasps(
        poses=poses,
        gripper=documents.optional(about, "gripper", documents.text),
        object_file=documents.optional(about, "object_file", documents.text),
        object_scale=1.0 if scale is None else scale,
        object_sha256=documents.optional(about, "object_sha256", documents.text),
        tool_center_point=tip,
        reason=documents.optional(about, "reason", documents.text),
        **arrays,
    )
    return grasps, _convention(about)


def dump(grasps: Grasps, frame: str = "gripper") -> str:
    """Return the grasps as the text of a table.

    Args:
        grasps: The grasps to write.
        frame: Frame of the hand that the written poses describe, a key of
            `grasp.poses.frames.FRAMES`.
    """
    from scipy.spatial.transform import Rotation

    poses = to_frame(grasps.poses, frame)
    tip = grasps.tool_center_point
    if tip is not None:  # a point fixed to the hand
        tip = named_frame(frame)[:3, :3] @ tip + named_frame(frame)[:3, 3]
    about = {
        "format": FORMAT,
        "version": VERSION,
        "unit": METRE,
        "frame": OBJECT_FRAME,
        "hand_frame": frame,
        "quaternion": "quaternion_xyzw",
        "gripper": grasps.gripper,
        "tool_center_point": None if tip is None else tip.tolist(),
        "object_file": grasps.object_file,
        "object_scale": float(grasps.object_scale),
        "object_sha256": grasps.object_sha256,
        "reason": grasps.reason,
    }
    about = {name: value for name, value in about.items() if value is not None}
    arrays = {name: array.tolist() for name, array in grasps.arrays().items()}
    columns = [name for name in (*_ALWAYS, *arrays) if name in arrays or name in _ALWAYS]
    columns = list(dict.fromkeys(columns))
    quaternions_xyzw = (
        Rotation.from_matrix(poses[:, :3, :3]).as_quat() if len(poses) else np.empty((0, 4))
    )
    text = io.StringIO()
    text.write(f"# {documents.to_json('the description of the grasps', about)}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*POSITION, *QUATERNION_XYZW, *(_NAMES[name] for name in columns)])
    for i, (pose, quaternion_xyzw) in enumerate(zip(poses, quaternions_xyzw, strict=True)):
        cells = [arrays[name][i] if name in arrays else "" for name in columns]
        cells = [int(cell) if isinstance(cell, bool) else cell for cell in cells]
        writer.writerow([*pose[:3, 3].tolist(), *quaternion_xyzw.tolist(), *cells])
    return text.getvalue()


def _text(path: Path) -> str:
    try:
        return read_bytes(path, documents.LARGEST_FILE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"the file is not UTF-8 text: {error.reason}") from error


def _rows(text: str) -> list[dict[str, str]]:
    """Return the cells of each row by the name of the column."""
    needed = (*POSITION, *QUATERNION_XYZW)
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
        names = [name.strip() for name in table.fieldnames or ()]
        missing = [name for name in needed if name not in names]
        if missing:
            raise InputError(
                f"the table must have the columns {', '.join(needed)}, but lacks "
                f"{', '.join(missing)}"
            )
        if len(set(names)) < len(names):
            raise InputError("the table has two columns of the same name")
        table.fieldnames = names
        rows = list(table)
    except csv.Error as error:
        raise InputError(f"the file is not a table with commas: {error}") from error
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise InputError(
                f"row {number} of the table must have {len(names)} cells, one per column"
            )
    return rows


def _entry(row: int, name: str, cell: str | None) -> Any:
    """Parse one cell of an optional column."""
    if name == "failure":
        return cell or ""
    if not cell:
        raise InputError(f"grasp {row} has no {_NAMES[name]}, but other grasps do")
    parse_entry, _ = COLUMNS[name]
    return parse_entry(f"the {_NAMES[name]} of grasp {row}", _number(row, _NAMES[name], cell))


def _number(row: int, name: str, cell: str) -> float:
    try:
        value = float({"true": "1", "false": "0"}.get(cell.strip().lower(), cell))
    except ValueError as error:
        raise InputError(
            f"the {name} of grasp {row} must be a number, got {documents.kind_of(cell)}"
        ) from error
    return documents.number(f"the {name} of grasp {row}", value)


def _pose(number: int, row: dict[str, str]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = [_number(number, name, row[name]) for name in POSITION]
    quaternion_xyzw = np.array([_number(number, name, row[name]) for name in QUATERNION_XYZW])
    pose[:3, :3] = documents.rotation_of(f"the quaternion of grasp {number}", quaternion_xyzw)
    return pose


def _convention(about: dict[str, Any]) -> Convention:
    unit = documents.optional(about, "unit", documents.text)
    frame = documents.optional(about, "hand_frame", documents.text)
    return Convention(
        unit=None if unit is None else unit_named(unit),
        T_frame_grasp=None if frame is None else named_frame(frame),
        written=True,
    )

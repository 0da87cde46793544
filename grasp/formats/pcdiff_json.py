"""Our own JSON: one file that says everything about the grasps of one object.

    {"format": "pcdiff-grasp/grasps", "version": 1, "unit": "metre", "frame": "object mesh file",
     "gripper": {"name": "panda", "approach": "+z", "closing": "+x",
                 "tool_center_point": [0, 0, 0.1034]},
     "object": {"file": "mug.obj", "scale": 1.0, "sha256": "…"},
     "sampler": {"weights": "…", "seed": 0, "steps": 15},
     "grasps": [{"pose": [[…], […], […], […]], "energy": 0.1, "success_probability": 0.93,
                 "width": 0.031, "in_collision": false}],
     "reason": null}

`pose` is `T_object_grasp`, row by row; the grasps are best first; `reason` says why there are none,
or fewer than were asked for. What is not known is null or absent. Where they are known, `object`
also has `mass`, `friction` and `center_of_mass`, a grasp `success` and `failure`, and the file the
`protocol` of the physics. A gripper frame with other axes is read by its `approach` and `closing`.
A reader ignores keys that it does not know, and refuses a newer `version`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from grasp.formats import documents
from grasp.formats.convention import METRE, OBJECT_FRAME, Convention, unit_named
from grasp.formats.record import Grasps
from grasp.frames import axes
from pcdiff.errors import InputError

FORMAT = "pcdiff-grasp/grasps"
VERSION = 1

COLUMNS: dict[str, tuple[Callable[[str, object], Any], Any]] = {
    "energy": (documents.number, np.float64),
    "success_probability": (documents.number, np.float64),
    "success": (documents.label, np.bool_),
    "width": (documents.number, np.float64),
    "in_collision": (documents.label, np.bool_),
    "failure": (documents.text, np.str_),
}
"""How the entries of `record.PER_GRASP` are read, one a grasp."""


def parse(document: dict[str, Any]) -> tuple[Grasps, Convention]:
    """The grasps of a document of this format, and what it says about their unit and frame.

    Raises:
        InputError: something is missing, of another kind, or newer than this program.
    """
    check_version(document.get("version"))
    gripper = documents.mapping("gripper", document.get("gripper") or {})
    subject = documents.mapping("object", document.get("object") or {})
    grasps = [
        documents.mapping(f"grasp {i}", grasp)
        for i, grasp in enumerate(documents.sequence("grasps", document.get("grasps")))
    ]
    poses = [
        documents.matrix(f"the pose of grasp {i}", g.get("pose")) for i, g in enumerate(grasps)
    ]
    scale = optional(subject, "scale", documents.number)
    return (
        Grasps(
            poses=documents.stack(poses),
            gripper=optional(gripper, "name", documents.text),
            tool_center_point=optional(gripper, "tool_center_point", documents.vector),
            object_file=optional(subject, "file", documents.text),
            object_scale=1.0 if scale is None else scale,
            object_sha256=optional(subject, "sha256", documents.text),
            mass=optional(subject, "mass", documents.number),
            friction=optional(subject, "friction", documents.number),
            center_of_mass=optional(subject, "center_of_mass", documents.vector),
            sampler=optional(document, "sampler", documents.mapping),
            protocol=optional(document, "protocol", documents.text),
            reason=optional(document, "reason", documents.text),
            **columns(grasps),
        ),
        _convention(document, gripper),
    )


def dump(grasps: Grasps) -> str:
    """The text of the file; a grasp is one line."""
    subject = {
        "file": grasps.object_file,
        "scale": grasps.object_scale,
        "sha256": grasps.object_sha256,
        "mass": grasps.mass,
        "friction": grasps.friction,
        "center_of_mass": as_list(grasps.center_of_mass),
    }
    gripper = {
        "name": grasps.gripper,
        "approach": "+z",
        "closing": "+x",
        "tool_center_point": as_list(grasps.tool_center_point),
    }
    always = {"file", "scale", "sha256", "name", "tool_center_point"}
    head = {
        "format": FORMAT,
        "version": VERSION,
        "unit": METRE,
        "frame": OBJECT_FRAME,
        "gripper": gripper,
        "object": {k: v for k, v in subject.items() if v is not None or k in always},
        "sampler": grasps.sampler,
    }
    if grasps.protocol is not None:
        head["protocol"] = grasps.protocol
    arrays = {name: array.tolist() for name, array in grasps.arrays().items()}
    rows = [
        to_json({"pose": pose, **{name: values[i] for name, values in arrays.items()}})
        for i, pose in enumerate(grasps.poses.tolist())
    ]
    lines = [f"{json.dumps(key)}: {to_json(value)}" for key, value in head.items()]
    lines.append('"grasps": [' + ",\n  ".join(rows) + "]")
    lines.append(f'"reason": {to_json(grasps.reason)}')
    return "{" + ",\n ".join(lines) + "}\n"


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


def columns(grasps: list[dict[str, Any]]) -> dict[str, Any]:
    """The arrays of `record.PER_GRASP` from grasps that are mappings.

    Raises:
        InputError: some grasps have a value that others lack, or it is of another kind.
    """
    arrays: dict[str, Any] = {}
    for name, (parse_entry, dtype) in COLUMNS.items():
        values = [grasp.get(name) for grasp in grasps]
        if all(value is None for value in values):
            continue
        if None in values:
            raise InputError(f"grasp {values.index(None)} has no {name}, but other grasps have one")
        entries = [parse_entry(f"the {name} of grasp {i}", v) for i, v in enumerate(values)]
        arrays[name] = np.array(entries, dtype)
    return arrays


def optional(place: dict[str, Any], key: str, parse_value: Callable[[str, object], Any]) -> Any:
    """A value of a mapping, or None where it is null or absent."""
    value = place.get(key)
    return None if value is None else parse_value(key, value)


def as_list(array: np.ndarray | None) -> list[float] | None:
    """An optional array as a list of plain numbers."""
    return None if array is None else np.asarray(array, np.float64).tolist()


def _convention(document: dict[str, Any], gripper: dict[str, Any]) -> Convention:
    unit = optional(document, "unit", documents.text)
    frame = optional(document, "frame", documents.text)
    approach = optional(gripper, "approach", documents.text)
    closing = optional(gripper, "closing", documents.text)
    if frame not in (None, OBJECT_FRAME):
        raise InputError(f"its poses must be in the frame {OBJECT_FRAME!r}, not {frame!r}")
    says_all = None not in (frame, approach, closing)
    return Convention(
        unit=None if unit is None else unit_named(unit),
        T_frame_grasp=axes(approach, closing) if says_all else None,
        written=True,
    )


def to_json(value: object) -> str:
    """A value in one line of JSON.

    Raises:
        InputError: JSON cannot hold it.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the grasps' sampler must be what JSON can hold: {error}") from error

"""Our own JSON: one file with all known data of the grasps of one object.

    {"format": "pcdiff-grasp/grasps", "version": 1, "unit": "metre", "frame": "object mesh file",
     "gripper": {"name": "panda", "approach": "+z", "closing": "+x",
                 "tool_center_point": [0, 0, 0.1034]},
     "object": {"file": "mug.obj", "scale": 1.0, "sha256": "…"},
     "sampler": {"weights": "…", "seed": 0, "steps": 15},
     "grasps": [{"pose": [[…], […], […], […]], "energy": 0.1, "success_probability": 0.93,
                 "width": 0.031, "in_collision": false}],
     "reason": null}

`pose` contains the rows of `T_object_grasp`. The grasps are sorted, best first. `reason` states why
there are no grasps, or fewer grasps than requested. Unknown values are null or missing. The file
has further values if they are known: `mass`, `friction` and `center_of_mass` in `object`, `success`
and `failure` in each grasp, and the `protocol` of the physics at the top level. The reader uses
`approach` and `closing` to convert poses of a gripper frame with other axes. `frame` is "camera"
for grasps of a depth image and "robot base" for grasps of a scan with a known camera pose. The list
`remarks` says what was left out of a scan. The reader ignores unknown keys and refuses a newer
`version`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from grasp import documents
from grasp.formats.convention import (
    METRE,
    VERSION,
    Convention,
    check_version,
    object_frame,
    unit_named,
)
from grasp.formats.record import Grasps, columns
from grasp.poses.frames import axes

FORMAT = "pcdiff-grasp/grasps"


def parse(document: dict[str, Any]) -> tuple[Grasps, Convention]:
    """Parse the grasps of a document, and the unit and frame that the document states.

    Args:
        document: The parsed file.

    Raises:
        InputError: If a value is missing or has the wrong type, or the file is newer than this
            program.
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
    scale = documents.optional(subject, "scale", documents.number)
    return (
        Grasps(
            poses=documents.stack(poses),
            gripper=documents.optional(gripper, "name", documents.text),
            tool_center_point=documents.optional(gripper, "tool_center_point", documents.vector),
            object_file=documents.optional(subject, "file", documents.text),
            object_scale=1.0 if scale is None else scale,
            object_sha256=documents.optional(subject, "sha256", documents.text),
            mass=documents.optional(subject, "mass", documents.number),
            friction=documents.optional(subject, "friction", documents.number),
            center_of_mass=documents.optional(subject, "center_of_mass", documents.vector),
            sampler=documents.optional(document, "sampler", documents.small_mapping),
            protocol=documents.optional(document, "protocol", documents.text),
            reason=documents.optional(document, "reason", documents.text),
            frame=object_frame(documents.optional(document, "frame", documents.text)),
            remarks=tuple(
                documents.text(f"remark {i}", remark)
                for i, remark in enumerate(
                    documents.sequence("remarks", document.get("remarks") or [])
                )
            ),
            **columns(grasps),
        ),
        _convention(document, gripper),
    )


def dump(grasps: Grasps) -> str:
    """Return the grasps as the text of a JSON file with one line per grasp.

    Args:
        grasps: The grasps to write.
    """
    subject = {
        "file": grasps.object_file,
        "scale": grasps.object_scale,
        "sha256": grasps.object_sha256,
        "mass": grasps.mass,
        "friction": grasps.friction,
        "center_of_mass": _as_list(grasps.center_of_mass),
    }
    gripper = {
        "name": grasps.gripper,
        "approach": "+z",
        "closing": "+x",
        "tool_center_point": _as_list(grasps.tool_center_point),
    }
    always = {"file", "scale", "sha256", "name", "tool_center_point"}
    head = {
        "format": FORMAT,
        "version": VERSION,
        "unit": METRE,
        "frame": grasps.frame,
        "gripper": gripper,
        "object": {k: v for k, v in subject.items() if v is not None or k in always},
        "sampler": grasps.sampler,
    }
    if grasps.protocol is not None:
        head["protocol"] = grasps.protocol
    if grasps.remarks:
        head["remarks"] = list(grasps.remarks)
    arrays = {name: array.tolist() for name, array in grasps.arrays().items()}
    rows = [
        documents.to_json(
            f"grasp {i}", {"pose": pose, **{name: values[i] for name, values in arrays.items()}}
        )
        for i, pose in enumerate(grasps.poses.tolist())
    ]
    lines = [
        f"{json.dumps(key)}: {documents.to_json(f'the {key} of the grasps', value)}"
        for key, value in head.items()
    ]
    lines.append('"grasps": [' + ",\n  ".join(rows) + "]")
    lines.append(f'"reason": {documents.to_json("the reason", grasps.reason)}')
    return "{" + ",\n ".join(lines) + "}\n"


def _as_list(array: np.ndarray | None) -> list[float] | None:
    """Convert an optional array to a list of plain numbers."""
    return None if array is None else np.asarray(array, np.float64).tolist()


def _convention(document: dict[str, Any], gripper: dict[str, Any]) -> Convention:
    unit = documents.optional(document, "unit", documents.text)
    frame = documents.optional(document, "frame", documents.text)
    approach = documents.optional(gripper, "approach", documents.text)
    closing = documents.optional(gripper, "closing", documents.text)
    says_all = None not in (frame, approach, closing)
    return Convention(
        unit=None if unit is None else unit_named(unit),
        T_frame_grasp=axes(approach, closing) if says_all else None,
        written=True,
    )

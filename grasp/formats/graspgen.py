"""The JSON of GraspGen's data set and our additions to it.

`docs/GRASP_DATASET_FORMAT.md` in the repository of GraspGen (Murali et al. 2025) defines the
format. GraspDataGen writes the format with the additional key `gripper`:

    {"object": {"file": "mug.obj", "scale": 1.0},
     "gripper": {"name": "franka_panda",
                 "transform_offset_from_asset_to_graspgen_convention": [[x, y, z], [x, y, z, w]]},
     "grasps": {"transforms": [[[…4 × 4…]], …], "object_in_gripper": [true, false, …]}}

`transforms` are poses of the gripper's base in the frame of the scaled mesh, in metres.
`docs/GRIPPER_DESCRIPTION.md` defines the axes, which are the axes of our gripper frame: +z is the
approach direction, +x the closing direction. If a gripper's asset has other axes, the file states
an offset. A pose times the offset is a pose of our gripper frame, as in GraspGen's own loader. An
offset of 16 numbers is a matrix in row-major order. `object` and `object_in_gripper` may be
missing, for example in files that GraspGen records on a robot.

Our files also have `unit` and `frame`, and next to `transforms` one list for each further per-grasp
array; other readers ignore these additions. The format has no place for mass, friction and the
other fields of `Grasps`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from grasp import documents
from grasp.formats.convention import (
    BY_FORMAT,
    METRE,
    Convention,
    object_frame,
    unit_named,
)
from grasp.formats.record import COLUMNS, Grasps
from grasp.poses.frames import FRAMES
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError

OFFSET = "transform_offset_from_asset_to_graspgen_convention"

OUR_NAMES = {"franka_panda": "panda", "franka": "panda"}
"""Our name for each gripper that GraspGen names differently."""

THEIR_NAMES = {"panda": "franka_panda"}
"""GraspGen's name for each gripper that we name differently."""


def parse(document: dict[str, Any]) -> tuple[Grasps, Convention]:
    """Parse the grasps of a document, and the unit and frame that the document states.

    Args:
        document: The parsed file.

    Raises:
        InputError: If a value is missing or has the wrong type, or lists differ in length.
    """
    subject = documents.mapping("object", document.get("object") or {})
    gripper = documents.mapping("gripper", document.get("gripper") or {})
    grasps = documents.mapping("grasps", document.get("grasps"))
    transforms = documents.sequence("grasps.transforms", grasps.get("transforms"))
    poses = documents.stack(
        [documents.matrix(f"the pose of grasp {i}", pose) for i, pose in enumerate(transforms)]
    )
    check_poses("grasp", poses)

    stated = BY_FORMAT
    offset = gripper.get(OFFSET)
    if offset is not None:
        poses = poses @ _offset(offset)
        stated = Convention(BY_FORMAT.unit, FRAMES["gripper"], written=True)
    frame = documents.optional(document, "frame", documents.text)
    if frame is not None:
        stated = Convention(stated.unit, FRAMES["gripper"], written=True)
    if document.get("unit") is not None:
        unit = unit_named(documents.text("unit", document["unit"]))
        stated = Convention(unit, stated.T_frame_grasp, written=True)

    name = documents.optional(gripper, "name", documents.text)
    scale = documents.optional(subject, "scale", documents.number)
    return (
        Grasps(
            poses=poses,
            gripper=None if name is None else OUR_NAMES.get(name, name),
            object_file=documents.optional(subject, "file", documents.text),
            object_scale=1.0 if scale is None else scale,
            reason=documents.optional(document, "reason", documents.text),
            frame=object_frame(frame),
            **_columns(grasps, len(poses)),
        ),
        stated,
    )


def dump(grasps: Grasps) -> str:
    """Return the grasps as the text of a GraspGen JSON file.

    Args:
        grasps: The grasps to write.
    """
    gripper = grasps.gripper
    document = {
        "object": {"file": grasps.object_file, "scale": grasps.object_scale},
        "gripper": {"name": None if gripper is None else THEIR_NAMES.get(gripper, gripper)},
        "unit": METRE,
        "frame": grasps.frame,
        "reason": grasps.reason,
    }
    lists = {"transforms": grasps.poses.tolist()}
    for name, array in grasps.arrays().items():
        lists["object_in_gripper" if name == "success" else name] = array.tolist()
    lines = [
        f'"{key}": {documents.to_json(f"the {key} of the grasps", value)}'
        for key, value in document.items()
    ]
    columns = [
        f'"{key}": {documents.to_json(f"the {key} of the grasps", values)}'
        for key, values in lists.items()
    ]
    lines.append('"grasps": {' + ",\n  ".join(columns) + "}")
    return "{" + ",\n ".join(lines) + "}\n"


def _columns(grasps: dict[str, Any], count: int) -> dict[str, Any]:
    """Read the arrays of `PER_GRASP` from lists with one entry per grasp."""
    arrays: dict[str, Any] = {}
    for name, (parse_entry, dtype) in COLUMNS.items():
        key = "object_in_gripper" if name == "success" else name
        if grasps.get(key) is None:
            continue
        values = documents.sequence(f"grasps.{key}", grasps[key])
        if len(values) != count:
            raise InputError(
                f"grasps.{key} has {len(values)} entries, but there are {count} transforms"
            )
        entries = [
            # Labels in the data set on Hugging Face reportedly have shape (n, 1).
            value[0] if isinstance(value, list) and len(value) == 1 else value
            for value in values
        ]
        read = [parse_entry(f"entry {i} of grasps.{key}", v) for i, v in enumerate(entries)]
        arrays[name] = np.array(read, dtype)
    return arrays


def _offset(value: object) -> Float[np.ndarray, "4 4"]:
    """Parse an offset: a translation and a quaternion, 16 numbers, or 4 rows of 4 numbers."""
    if isinstance(value, list) and len(value) == 2:
        offset = np.eye(4)
        offset[:3, 3] = documents.vector(f"the translation of {OFFSET}", value[0])
        quaternion_xyzw = documents.vector(f"the quaternion of {OFFSET}", value[1], 4)
        offset[:3, :3] = documents.rotation_of(f"the quaternion of {OFFSET}", quaternion_xyzw)
    elif isinstance(value, list) and len(value) == 16:
        offset = documents.vector(OFFSET, value, 16).reshape(4, 4)
    else:
        offset = documents.matrix(OFFSET, value)
    check_poses(OFFSET, offset[None])
    return offset

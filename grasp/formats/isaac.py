"""The YAML of the Isaac tools, which GraspGen uses for its samples, and our additions to it.

NVIDIA defines the format (Isaac ROS, "Isaac Grasp File"; Isaac Sim, "Grasp Editor"). GraspGen's
`save_to_isaac_grasp_format` and GraspDataGen write such files; GraspDataGen adds `object_file` and
`object_scale`:

    format: isaac_grasp
    format_version: 1.0
    object_frame: /World/mug
    gripper_frame: /World/panda_hand
    grasps:
      grasp_0:
        confidence: 0.9
        position: [-0.04, 0.07, 0.2]
        orientation: {w: 0.0, xyz: [0.98, 0.17, 0.05]}

The definition fixes neither frames nor a unit: programs cannot interpret the names in
`object_frame` and `gripper_frame`. GraspGen writes poses of our gripper frame, but the Grasp Editor
usually writes poses of `panda_hand`. The caller of the reader must therefore supply the unit and
the frame. Our own files state both: they have `unit: metre`, `object_frame: object mesh file` and a
name from `grasp.poses.frames.FRAMES` as `gripper_frame`.

`confidence` is the probability of success. If only labels are known, GraspDataGen and this package
write a confidence of 1 or 0, and this package adds `confidence_is: success`. Further values of each
grasp are stored under our own names; other readers ignore these values. Joint positions are not
read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grasp import documents
from grasp.formats.convention import METRE, OBJECT_FRAME, OBJECT_FRAMES, Convention, unit_named
from grasp.formats.record import Grasps, columns
from grasp.poses.frames import FRAMES, to_frame
from pcdiff.errors import InputError
from pcdiff.untrusted import printable

FORMAT = "isaac_grasp"
VERSION = 1.0


def parse(document: dict[str, Any]) -> tuple[Grasps, Convention]:
    """Parse the grasps of a document, and the unit and frame that the document states.

    Args:
        document: The parsed file.

    Raises:
        InputError: If a value is missing or has the wrong type, or the file is newer than this
            program.
    """
    version = document.get("format_version", VERSION)
    if str(version) not in ("1", "1.0"):
        raise InputError(
            f"the format_version of the file must be 1.0, got {documents.kind_of(version)}"
        )
    names = documents.mapping("grasps", document.get("grasps") or {})
    grasps = [documents.mapping(str(name), grasp) for name, grasp in names.items()]
    poses = [_pose(str(name), grasp) for name, grasp in zip(names, grasps, strict=True)]

    arrays = columns(
        [{**grasp, "success_probability": grasp.get("confidence")} for grasp in grasps]
    )
    if document.get("confidence_is") == "success" and "success_probability" in arrays:
        arrays["success"] = arrays.pop("success_probability") == 1
    scale = documents.optional(document, "object_scale", documents.number)
    unit = documents.optional(document, "unit", documents.text)
    frame = documents.optional(document, "gripper_frame", documents.text)
    is_ours = document.get("object_frame") in OBJECT_FRAMES and frame in FRAMES
    return (
        Grasps(
            poses=documents.stack(poses),
            gripper=documents.optional(document, "gripper", documents.text),
            object_file=documents.optional(document, "object_file", documents.text),
            object_scale=1.0 if scale is None else scale,
            reason=documents.optional(document, "reason", documents.text),
            frame=str(document["object_frame"]) if is_ours else OBJECT_FRAME,
            **arrays,
        ),
        Convention(
            unit=None if unit is None else unit_named(unit),
            T_frame_grasp=FRAMES[str(frame)] if is_ours else None,
            written=True,
        ),
    )


def dump(grasps: Grasps, frame: str = "gripper") -> str:
    """Return the grasps as the text of an Isaac YAML file.

    Args:
        grasps: The grasps to write.
        frame: Frame of the hand that the written poses describe, a key of
            `grasp.poses.frames.FRAMES`.
    """
    import yaml
    from scipy.spatial.transform import Rotation

    poses = to_frame(grasps.poses, frame)
    arrays = {name: array.tolist() for name, array in grasps.arrays().items()}
    if "success_probability" in arrays:
        arrays["confidence"] = arrays.pop("success_probability")
    elif "success" in arrays:
        arrays["confidence"] = [float(held) for held in arrays.pop("success")]
    quaternions_xyzw = (
        Rotation.from_matrix(poses[:, :3, :3]).as_quat() if len(poses) else np.empty((0, 4))
    )
    document: dict[str, Any] = {"format": FORMAT, "format_version": VERSION}
    about = {
        "object_frame": grasps.frame,
        "gripper_frame": frame,
        "unit": METRE,
        "object_file": grasps.object_file,
        "object_scale": float(grasps.object_scale),
        "gripper": grasps.gripper,
        "confidence_is": "success" if _only_labels(grasps) else None,
        "reason": grasps.reason,
    }
    document |= {
        key: printable(value) if isinstance(value, str) else value
        for key, value in about.items()
        if value is not None
    }
    if "failure" in arrays:
        arrays["failure"] = [printable(code) for code in arrays["failure"]]
    document["grasps"] = {
        f"grasp_{i}": {
            "position": position,
            "orientation": {"w": quaternion_xyzw[3], "xyz": quaternion_xyzw[:3]},
            **{name: values[i] for name, values in arrays.items()},
        }
        for i, (position, quaternion_xyzw) in enumerate(
            zip(poses[:, :3, 3].tolist(), quaternions_xyzw.tolist(), strict=True)
        )
    }
    text: str = yaml.dump(
        document,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
    )
    return text


def _only_labels(grasps: Grasps) -> bool:
    return grasps.success is not None and grasps.success_probability is None


def _pose(name: str, grasp: dict[str, Any]) -> np.ndarray:
    orientation = documents.mapping(f"the orientation of {name}", grasp.get("orientation"))
    what = f"the quaternion of {name}"
    quaternion_xyzw = np.append(
        documents.vector(f"{what}, xyz,", orientation.get("xyz")),
        documents.number(f"{what}, w,", orientation.get("w")),
    )
    pose = np.eye(4)
    pose[:3, :3] = documents.rotation_of(what, quaternion_xyzw)
    pose[:3, 3] = documents.vector(f"the position of {name}", grasp.get("position"))
    return pose

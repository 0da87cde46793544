"""The predictions of Contact-GraspNet as plain arrays in a .npz file, and our additions to them.

Contact-GraspNet (Sundermeyer, Mousavian, Triebel and Fox, ICRA 2021) predicts, for each segment k
of a scene, four arrays in metres, in the frame of the camera (x right, y down, z forward):

    pred_grasps_cam    (n, 4, 4)  poses of the hand
    scores             (n,)       predicted probability of success
    contact_pts        (n, 3)     point where the finger on the −x side touches
    gripper_openings   (n,)       opening of the hand

The hand is the Franka Hand in our gripper frame: the origin is at the base of the hand, +z is the
approach and +x the closing direction, which Contact-GraspNet calls the baseline. The contact point
is c = t − (w/2)·x + d·z for the axes x and z of a pose, its translation t, the distance w between
the contacts and the distance d = 0.1034 m from the base to the tool centre point.

Contact-GraspNet itself saves one Python dictionary per name, which NumPy pickles. This package
unpickles nothing, so save plain arrays, from a program that trusts its own results:

    np.savez("grasps.npz", **{f"{name}_{k}": np.asarray(each[k])
             for name, each in {"pred_grasps_cam": pred_grasps_cam, "scores": scores}.items()
             for k in each})

The names of arrays end in the key of the segment, `pred_grasps_cam_3`. In a file of a single object
this ending may be missing. Our files also have texts (`gripper`, `object_file`, `reason` and
`frame`, one of `grasp.objects.object.FRAMES`), the scale of the object, and one array for each
further property of the grasps; other readers ignore these additions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grasp.formats.archives import read_arrays, write_arrays
from grasp.formats.convention import BY_FORMAT, Convention, object_frame
from grasp.formats.record import COLUMNS, Grasps, check_length
from grasp.grippers.gripper import Gripper
from grasp.objects.object import CAMERA_FRAME
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

POSES = "pred_grasps_cam"
"""Name of the arrays of poses."""

_THEIR_NAMES = {"success_probability": "scores", "width": "gripper_openings"}
_TEXTS = ("gripper", "object_file", "reason", "frame")

NO_GRASPS = "the file has no grasps of this object and states no reason"
"""The reason that the reader states for an object without grasps, if the file states none."""


def read(path: str | os.PathLike[str], object_id: str | None = None) -> tuple[Grasps, Convention]:
    """Read the grasps of one object, and the unit and frame that the format defines.

    Args:
        path: File to read.
        object_id: Key of the segment, such as "3"; None reads the only object in the file.

    Raises:
        InputError: If the file is damaged or contains pickled dictionaries, it has several objects
            and no `object_id` is given, or it does not have the requested object.
    """
    objects = read_objects(path)
    if object_id is None and len(objects) == 1:
        (found,) = objects.values()
    elif object_id in objects:
        found = objects[object_id]
    else:
        listed = ", ".join(objects)
        raise InputError(
            f"the file has grasps of the objects {listed}: state the id of one"
            if object_id is None
            else f"the object id must be one of {listed}, got {object_id!r}",
            parameter="object_id",
        )
    return found, BY_FORMAT


def read_objects(path: str | os.PathLike[str]) -> dict[str, Grasps]:
    """Read the grasps of all objects in a file.

    Args:
        path: File to read.

    Returns:
        The grasps by the key of their segment; the key is "" if the names of the arrays have no
        ending.

    Raises:
        InputError: If the file is damaged, contains pickled dictionaries, has no array of poses, or
            the arrays of an object differ in length.
    """
    arrays, pickled = read_arrays(path)
    if pickled:
        raise InputError(
            f"{', '.join(pickled)} in the file contains pickled Python objects, as "
            "Contact-GraspNet saves its dictionaries, and unpickling could run any code: save one "
            f"plain array per object, np.savez(file, {POSES}_1=…, scores_1=…, gripper_openings_1=…)"
        )
    keys = [name.removeprefix(POSES).removeprefix("_") for name in arrays if name.startswith(POSES)]
    if not keys:
        raise InputError(
            f"the file must have an array {POSES} or {POSES}_ID, got {', '.join(arrays) or 'none'}"
        )
    stated = {name: _text(name, arrays[name]) for name in _TEXTS if name in arrays}
    about = {"gripper": "panda", "frame": CAMERA_FRAME, **stated}
    object_frame(about["frame"])
    scale = arrays.get("object_scale", np.ones(()))
    if scale.dtype.kind not in "fiu" or scale.size != 1:
        raise InputError(f"object_scale must be one number, got {scale.dtype} of {scale.shape}")
    shared = {**about, "object_scale": float(scale.item())}
    return {key: _grasps(key, arrays, shared) for key in keys}


def write_objects(
    path: str | os.PathLike[str], objects: Mapping[str, Grasps], gripper: Gripper | None = None
) -> None:
    """Write the grasps of several objects to one file, completely or not at all.

    Args:
        path: File to write; an existing file is replaced.
        objects: Grasps by the key of their segment.
        gripper: As in `write`.

    Raises:
        InputError: If the objects differ in their gripper, file, scale or reason, or the file
            cannot be written.
    """
    with atomic_write(path) as temporary:
        write(temporary, objects, gripper)


def write(temporary: Path, objects: Mapping[str, Grasps], gripper: Gripper | None = None) -> None:
    """Write the grasps of one or several objects to a new file.

    Args:
        temporary: File to write.
        objects: Grasps by the key of their segment; the key "" gives names without an ending.
        gripper: Gripper whose tool centre point gives the contact points of grasps that do not
            state the point. Contact points are left out if the point or the width is unknown.

    Raises:
        InputError: If the objects differ in their gripper, file, scale or reason.
    """
    arrays: dict[str, np.ndarray] = {}
    shared: dict[str, Any] = {}
    for key, grasps in objects.items():
        ending = f"_{key}" if key else ""
        arrays[POSES + ending] = grasps.poses
        for name, array in grasps.arrays().items():
            arrays[_THEIR_NAMES.get(name, name) + ending] = array
        if (contacts := _contacts(grasps, gripper)) is not None:
            arrays[f"contact_pts{ending}"] = contacts
        for name in (*_TEXTS, "object_scale"):
            value = getattr(grasps, name)
            if shared.setdefault(name, value) != value:
                raise InputError(
                    f"all objects in a file must have the same {name}, got {shared[name]!r} and "
                    f"{value!r}"
                )
    arrays |= {name: np.array(value) for name, value in shared.items() if value is not None}
    write_arrays(temporary, arrays)


def _grasps(key: str, arrays: Mapping[str, np.ndarray], about: dict[str, Any]) -> Grasps:
    ending = f"_{key}" if key else ""
    poses = arrays[POSES + ending]
    if poses.dtype.kind not in "fiu":
        raise InputError(f"{POSES}{ending} must contain numbers, got {poses.dtype}")
    poses = np.asarray(poses, np.float64)
    if not poses.size:  # Contact-GraspNet has an empty list for a segment without grasps
        poses = poses.reshape(0, 4, 4)
    check_poses("grasp", poses)
    found: dict[str, Any] = {}
    for name, (_, dtype) in COLUMNS.items():
        stored = _THEIR_NAMES.get(name, name) + ending
        if stored not in arrays:
            continue
        array = arrays[stored]
        if array.size == len(poses):  # Contact-GraspNet drops the axes of length 1
            array = array.reshape(-1)
        kind = "U" if dtype is np.str_ else "b" if dtype is np.bool_ else "fiu"
        if array.dtype.kind not in kind and array.size:
            raise InputError(f"{stored} must be an array of {np.dtype(dtype)}, got {array.dtype}")
        check_length(stored, array, len(poses))
        found[name] = np.asarray(array, dtype if dtype is not np.str_ else None)
    if not len(poses) and about.get("reason") is None:
        about = {**about, "reason": NO_GRASPS}
    return Grasps(poses=poses, **found, **about)


def _contacts(grasps: Grasps, gripper: Gripper | None) -> np.ndarray | None:
    tip = grasps.tool_center_point
    if tip is None and gripper is not None:
        tip = gripper.tool_center_point
    if tip is None or grasps.width is None:
        return None
    point = np.asarray(tip, np.float64) - np.array([0.5, 0.0, 0.0]) * grasps.width[:, None]
    rotations, translations = grasps.poses[:, :3, :3], grasps.poses[:, :3, 3]
    return np.einsum("nij,nj->ni", rotations, point) + translations


def _text(name: str, array: np.ndarray) -> str:
    if array.dtype.kind != "U" or array.size != 1:
        raise InputError(f"{name} must be one text, got {array.dtype} of shape {array.shape}")
    return str(array.item())

"""The HDF5 schema of ACRONYM and our additions to it.

ACRONYM's files and tools (`acronym_tools`) use this schema (Eppner, Mousavian and Fox, "ACRONYM: A
Large-Scale Grasp Dataset Based on Simulation", ICRA 2021):

    grasps/transforms                                 float64 (n, 4, 4), T_object_grasp
    grasps/qualities/flex/object_in_gripper           int64 (n,), 1 for a successful grasp
    gripper/type                                      "panda"
    object/file, scale                                mesh file, factor to metres
    object/mass, friction, com                        kilograms, coefficient, metres

The schema defines that lengths are in metres and that poses are poses of the hand's base, with +z
along the approach and +x along the closing direction, so the files state neither unit nor frame.
The group with the labels is named after the simulator FleX. Tools read labels from this group, even
if another simulator produced the labels. All our additions are in the group `pcdiff_grasp`, which
other readers ignore: the version of the additions, unit, frame, physics protocol, digest, sampler,
reason, and one HDF5 dataset for each further per-grasp array. Other quantities of ACRONYM (motions,
inertia, volume) are not read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from grasp import documents
from grasp.formats.convention import (
    BY_FORMAT,
    METRE,
    OBJECT_FRAME,
    VERSION,
    Convention,
    check_version,
    object_frame,
    unit_named,
)
from grasp.formats.record import PER_GRASP, Grasps, check_length, failure_code
from grasp.poses.frames import FRAMES
from grasp.poses.rigid import check_poses
from pcdiff import hdf5
from pcdiff.errors import InputError
from pcdiff.untrusted import printable

if TYPE_CHECKING:
    import h5py

MOST_GRASPS = 1_000_000
"""Largest number of grasps in a file that the reader accepts; ACRONYM's files contain 2000."""

TRANSFORMS = "grasps/transforms"
"""Path of the HDF5 dataset with the poses."""

OBJECT_IN_GRIPPER = "grasps/qualities/flex/object_in_gripper"
"""Path of the HDF5 dataset with the success labels."""

OURS = "pcdiff_grasp"
"""Name of the HDF5 group with our additions."""

_ATTRIBUTES = ("version", "unit", "frame", "protocol", "object_sha256", "reason", "remarks")


def read(path: str | os.PathLike[str]) -> tuple[Grasps, Convention]:
    """Read the grasps of an ACRONYM file, and the unit and frame that the file states.

    Args:
        path: File to read.

    Raises:
        InputError: If the file is damaged, is not HDF5, or has another layout.
    """
    with hdf5.open_hdf5(path, "the file") as file:
        return _read(file)


def _read(file: h5py.File) -> tuple[Grasps, Convention]:
    poses = _numbers(file, TRANSFORMS)
    if poses is not None:
        check_poses("grasp", poses)
    else:
        there = f"contains {hdf5.listed(file)}" if len(file) else "is empty"
        raise InputError(
            f"an ACRONYM file must have the dataset {TRANSFORMS}, but the file {there}"
        )
    arrays: dict[str, Any] = {}
    labels = _numbers(file, OBJECT_IN_GRIPPER)
    if labels is not None:
        arrays["success"] = _booleans(OBJECT_IN_GRIPPER, labels)

    ours = hdf5.find(file, OURS)
    said: dict[str, Any] = {}
    stated = BY_FORMAT
    if ours is not None:
        said = hdf5.attributes(ours, _ATTRIBUTES)
        check_version(said.get("version"))
        for name in PER_GRASP:
            if name == "failure" and (texts := hdf5.find(ours, name)) is not None:
                _check_size(texts)
                arrays[name] = np.array(
                    [
                        failure_code(f"the failure of grasp {i}", code)
                        for i, code in enumerate(hdf5.read_texts(texts))
                    ],
                    np.str_,
                )
            elif (values := _numbers(ours, name)) is not None:
                arrays[name] = _booleans(name, values) if name == "in_collision" else values
        object_frame(str(said.get("frame")))  # it must be stated
        stated = Convention(unit_named(str(said.get("unit"))), FRAMES["gripper"], written=True)

    for name, array in arrays.items():
        check_length(name, array, len(poses))
    scale = _scalar(file, "object/scale")
    grasps = Grasps(
        poses=poses,
        gripper=_text(file, "gripper/type"),
        object_file=_text(file, "object/file"),
        object_scale=1.0 if scale is None else scale,
        mass=_scalar(file, "object/mass"),
        friction=_scalar(file, "object/friction"),
        center_of_mass=_point(file, "object/com"),
        object_sha256=documents.optional(said, "object_sha256", documents.text),
        sampler=None if ours is None else _sampler(_text(ours, "sampler")),
        protocol=documents.optional(said, "protocol", documents.text),
        tool_center_point=None if ours is None else _point(ours, "tool_center_point"),
        reason=documents.optional(said, "reason", documents.text),
        frame=OBJECT_FRAME if ours is None else str(said["frame"]),
        remarks=tuple((documents.optional(said, "remarks", documents.text) or "").splitlines()),
        **arrays,
    )
    return grasps, stated


def write(path: str | os.PathLike[str], grasps: Grasps) -> None:
    """Write the grasps to a file, completely or not at all.

    Args:
        path: File to write; an existing file is replaced.
        grasps: Grasps to write.

    Raises:
        InputError: If JSON cannot represent the sampler, or the file cannot be written.
    """
    with hdf5.new_hdf5(path) as file:
        fill(file, grasps)


def fill(file: h5py.File, grasps: Grasps) -> None:
    """Store the grasps in an HDF5 file that is open for writing.

    Args:
        file: File to fill.
        grasps: Grasps to store.

    Raises:
        InputError: If JSON cannot represent the sampler.
    """
    sampler = None
    if grasps.sampler is not None:
        sampler = documents.to_json("the sampler of the grasps", grasps.sampler)
    extra = grasps.arrays()
    success = extra.pop("success", None)
    file[TRANSFORMS] = grasps.poses.astype(np.float64)
    if success is not None:
        file[OBJECT_IN_GRIPPER] = success.astype(np.int64)
    named = {
        "gripper/type": grasps.gripper,
        "object/file": grasps.object_file,
        "object/scale": float(grasps.object_scale),
        "object/mass": grasps.mass,
        "object/friction": grasps.friction,
        "object/com": grasps.center_of_mass,
    }
    for name, value in named.items():
        if value is not None:
            file[name] = _fixed(value) if isinstance(value, str) else value
    ours = file.create_group(OURS)
    said = {
        "version": VERSION,
        "unit": METRE,
        "frame": grasps.frame,
        "protocol": grasps.protocol,
        "object_sha256": grasps.object_sha256,
        "reason": grasps.reason,
        "remarks": "\n".join(grasps.remarks) or None,
    }
    for name, attribute in said.items():
        if attribute is not None:
            ours.attrs[name] = _fixed(attribute) if isinstance(attribute, str) else attribute
    if sampler is not None:
        ours["sampler"] = _fixed(sampler)
    if grasps.tool_center_point is not None:
        ours["tool_center_point"] = grasps.tool_center_point
    for name, array in extra.items():
        ours[name] = _fixed(array.tolist()) if array.dtype.kind == "U" else array


def _fixed(text: str | list[str]) -> np.ndarray:
    """Encode text as fixed-length UTF-8.

    HDF5 stores variable-length text in a heap. A damaged byte in a heap can make the HDF5 library
    search forever.
    """
    import h5py

    shown = printable(text) if isinstance(text, str) else [printable(each) for each in text]
    encoded = np.array(np.char.encode(shown, "utf-8"))
    length = max(encoded.itemsize, 1)  # HDF5 has no zero-length text
    return encoded.astype(h5py.string_dtype("utf-8", length))


def _numbers(place: h5py.Group, name: str) -> np.ndarray | None:
    """Read a numeric HDF5 dataset as float64, or return None if the dataset is missing."""
    dataset = hdf5.find(place, name)
    if dataset is None:
        return None
    _check_size(dataset)
    if dataset.dtype.kind not in "fiub":
        raise InputError(f"{name} must contain numbers, got {dataset.dtype}")
    return np.asarray(dataset[()], np.float64)


def _check_size(dataset: h5py.Group | h5py.Dataset) -> None:
    """Raise `InputError` if an HDF5 object is a group, or a dataset that must not be read."""
    # Each of these sizes is below the limit of `check_dataset`.
    if (getattr(dataset, "size", 0) or 0) > 16 * MOST_GRASPS:
        raise InputError(
            f"{dataset.name.lstrip('/')} must have at most {16 * MOST_GRASPS} entries, "
            f"got shape {dataset.shape}"
        )
    hdf5.check_dataset(dataset)


def _booleans(name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if not np.isin(values, (0, 1)).all():
        wrong = values[~np.isin(values, (0, 1))][0]
        raise InputError(f"{name} must only contain 0 and 1, got {wrong:g}")
    return values.astype(np.bool_)


def _scalar(file: h5py.File, name: str) -> float | None:
    values = _numbers(file, name)
    if values is None:
        return None
    if values.size != 1:
        raise InputError(f"{name} must be one number, got shape {values.shape}")
    return float(values.reshape(()))


def _point(place: h5py.Group, name: str) -> np.ndarray | None:
    point = _numbers(place, name)
    if point is not None and point.shape != (3,):
        raise InputError(f"{name} must be three numbers, got shape {point.shape}")
    return point


def _text(file: h5py.File, name: str) -> str | None:
    dataset = hdf5.find(file, name)
    if dataset is None:
        return None
    texts = hdf5.read_texts(dataset) if getattr(dataset, "size", 1) == 1 else []
    if len(texts) != 1 or not isinstance(texts[0], str):
        raise InputError(f"{name} must be text, got {dataset.dtype} of shape {dataset.shape}")
    return texts[0]


def _sampler(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        sampler = documents.parse_json(text)
    except InputError as error:
        raise InputError(f"the sampler in the file cannot be read: {error}") from error
    return documents.small_mapping("sampler", sampler)

"""Readers of camera files: the intrinsic matrix and what else a file states about a depth image.

A file is JSON or YAML with names for the entries, or a .npy, .txt, JSON or YAML file with just the
nine numbers of the intrinsic matrix. Known names:

| source | matrix | picture | unit of the depths |
|---|---|---|---|
| ours | `fx`, `fy`, `cx`, `cy` | `width`, `height` | `depth_unit`: m, cm, mm or inch |
| RealSense | `fx`, `fy`, `ppx`, `ppy` | `width`, `height` | `depth_scale`: metres per unit |
| ROS CameraInfo | `K` or `k`: 9 numbers | `width`, `height` | |
| ROS calibration | `camera_matrix`: `data` | `image_width`, `image_height` | |
| Open3D | `intrinsic_matrix`: 9, by column | `width`, `height` | `depth_scale`: units per metre |
| BOP | `cam_K`: 9 numbers | | `depth_scale`: millimetres per unit |

A matrix may also be three rows of three numbers. The entries may be one level down, under
`intrinsics`, `intrinsic` or `depth`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from grasp import documents
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError
from pcdiff.geometry.arrays import read_npy
from pcdiff.geometry.limits import UNITS, check_file, file_errors, read_bytes

SQUARE_WITHIN = 0.05
"""Largest usual difference between the focal lengths fx and fy, relative to the larger one."""

_MATRICES = "intrinsic_matrix", "K", "k", "cam_K", "camera_matrix", "intrinsics"
_NESTED = "intrinsics", "intrinsic", "depth"
_SIZES = {"width": ("width", "image_width"), "height": ("height", "image_height")}
_EXPECTED = "a JSON object or a YAML mapping with the numbers fx, fy, cx and cy, or with a matrix K"


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera, as a file describes it.

    Attributes:
        intrinsics: Intrinsic matrix in pixels, not yet checked.
        unit: Length of one unit of the depths in metres; None if the file does not state it.
        width: Width of the picture in pixels; None if the file does not state it.
        height: Height of the picture in pixels; None if the file does not state it.
    """

    intrinsics: np.ndarray
    unit: float | None = None
    width: float | None = None
    height: float | None = None


def read_camera(path: Path) -> Camera:
    """Read a camera from a file.

    Args:
        path: A .json, .yaml, .yml, .npy or .txt file as described in `grasp.objects.cameras`.

    Raises:
        InputError: If the file is missing or damaged, describes no camera, or states an unknown
            unit.
    """
    if path.suffix.lower() in (".npy", ".txt"):
        return Camera(matrix_of(_table(path)))
    check_file(path)
    try:
        with file_errors(path):
            entries = documents.read_value(path)
        if isinstance(entries, list) and len(entries) in (3, 9):
            return Camera(matrix_of(_numbers("the matrix", entries)))
        return _camera(documents.mapping("the top level", entries), path)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path} must contain {_EXPECTED}: {error}") from error


def matrix_of(numbers: np.ndarray) -> np.ndarray:
    """Return the 3 × 3 matrix in an array of shape (3, 3) or (9,), by rows or by columns.

    An array of another shape is returned unchanged, and `check_intrinsics` refuses it.

    Args:
        numbers: The array.
    """
    if numbers.shape == (9,):
        numbers = numbers.reshape(3, 3)
    if numbers.shape != (3, 3) or numbers.dtype.kind not in "fiu":
        return numbers
    by_columns = list(numbers[:, 2]) == [0, 0, 1] and list(numbers[2]) != [0, 0, 1]
    return numbers.T if by_columns else numbers


def read_camera_pose(path: Path) -> Float[np.ndarray, "4 4"]:
    """Read the pose `T_base_camera` of a camera in the base frame of a robot.

    The file contains the 16 numbers of a 4 × 4 matrix, row by row: a .npy file, a .txt file, or a
    .json or .yaml file with the numbers alone or in the entry `T_base_camera`, `camera_pose` or
    `pose`.

    Args:
        path: File to read.

    Raises:
        InputError: If the file is missing or damaged, or the matrix is not a rigid transform.
    """
    if path.suffix.lower() in (".json", ".yaml", ".yml"):
        check_file(path)
        names = "T_base_camera", "camera_pose", "pose"
        try:
            with file_errors(path):
                entries = documents.read_value(path)
            if not isinstance(entries, list):
                entries = documents.mapping("the top level", entries)
                name = next((each for each in names if each in entries), None)
                if name is None:
                    raise InputError(f"it has none of the entries {', '.join(names)}")
                entries = entries[name]
            numbers = _numbers("the matrix", entries)
        except InputError as error:
            raise InputError(f"cannot read the camera pose {path}: {error}") from error
    else:
        numbers = _table(path)
    return checked_pose(numbers, f"the camera pose in {path}")


def checked_pose(numbers: np.ndarray, what: str) -> Float[np.ndarray, "4 4"]:
    """Return the rigid transform in an array of shape (4, 4) or (16,).

    Args:
        numbers: The array.
        what: Name of the pose in error messages.

    Raises:
        InputError: If the array has another shape or is not a rigid transform.
    """
    if numbers.size != 16 or numbers.dtype.kind not in "fiu":
        raise InputError(
            f"{what} must be the 16 numbers of a 4 x 4 matrix, got {numbers.dtype} of shape "
            f"{numbers.shape}",
            parameter="camera_pose",
        )
    pose = numbers.reshape(4, 4).astype(np.float64)
    try:
        check_poses("camera", pose[None])
    except InputError as error:
        raise InputError(f"{what} is not rigid: {error}", parameter="camera_pose") from error
    return pose


def _camera(entries: dict[str, Any], path: Path) -> Camera:
    places = [entries, *(entries[key] for key in _NESTED if isinstance(entries.get(key), dict))]
    found = next((each for each in map(_matrix_in, places) if each is not None), None)
    if found is None:
        raise InputError(f"it has the entries {', '.join(map(str, entries))[:80] or 'none'}")
    sizes: dict[str, float | None] = {}
    for size, keys in _SIZES.items():
        stated = [place[key] for place in places for key in keys if key in place]
        sizes[size] = documents.number(size, stated[0]) if stated else None
    return Camera(matrix_of(found), _unit_in(entries, path), **sizes)


def _matrix_in(entries: dict[str, Any]) -> np.ndarray | None:
    """Return the matrix of a camera from its entries; None if they do not describe a camera."""
    principal = ("ppx", "ppy") if "ppx" in entries else ("cx", "cy")
    keys = ("fx", "fy", *principal)
    if any(key in entries for key in keys):
        missing = [key for key in keys if entries.get(key) is None]
        if missing:
            raise InputError(f"{', '.join(missing)} is missing")
        fx, fy, cx, cy = (documents.number(key, entries[key]) for key in keys)
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    for key in _MATRICES:
        value = entries.get(key)
        if isinstance(value, dict):
            value = value.get("data")
        if isinstance(value, list):
            return _numbers(key, value)
    return None


def _numbers(what: str, value: object) -> np.ndarray:
    """Return a list of numbers, or of rows of numbers, as a flat array."""
    rows = documents.sequence(what, value)
    flat = [x for row in rows for x in (row if isinstance(row, list) else [row])]
    return np.array([documents.number(f"number {i} of {what}", x) for i, x in enumerate(flat)])


def _unit_in(entries: dict[str, Any], path: Path) -> float | None:
    """Return the length in metres of one unit of the depths; None if the file does not state it."""
    unit = entries.get("depth_unit")
    if unit is not None:
        if not (isinstance(unit, str) and unit in UNITS):
            shown = repr(unit) if len(repr(unit)) < 40 else documents.kind_of(unit)
            raise InputError(f"depth_unit in {path} must be one of {', '.join(UNITS)}, got {shown}")
        return UNITS[unit]
    if entries.get("depth_scale") is None:
        return None
    scale = documents.number("depth_scale", entries["depth_scale"])
    if "cam_K" in entries and scale > 0:
        return 0.001 * scale
    if 0 < scale <= 0.1:
        return scale
    if scale >= 10:
        return 1 / scale
    raise InputError(
        f"depth_scale in {path} must be the metres per unit, at most 0.1, or the units per metre, "
        f"at least 10, got {scale:g}: state the depth_unit instead"
    )


def _table(path: Path) -> np.ndarray:
    """Read the numbers of a .npy file or of a text file."""
    if path.suffix.lower() == ".npy":
        return np.array(read_npy(path))
    text = read_bytes(path).decode("utf-8", "replace").replace(",", " ")
    try:
        return np.array([float(word) for word in text.split()])
    except ValueError as error:
        raise InputError(f"{path} must contain only numbers: {error}") from error

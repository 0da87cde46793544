"""Files with one point cloud."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.files import atomic_write
from pcdiff.geometry.reading import CLOUDS, read_geometry

ENDINGS = (".ply", ".xyz", ".npy")
"""File name extensions of the point clouds that `save_cloud` writes."""


LARGEST_ROUNDING = 1e-4
"""Largest shift of a point that rounding to float32 may cause, relative to the cloud's extent."""


def to_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """Convert numbers to float32; numbers beyond the range of float32 become infinite."""
    # The callers reject infinite numbers with an error message, so NumPy's warning is not needed.
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(array, np.float32)


def load_cloud(path: str | os.PathLike[str]) -> Float[Tensor, "points 3"]:
    """Read one point cloud, as `read_cloud` does, and ignore the remarks about the file."""
    return read_cloud(path)[0]


def read_cloud(
    path: str | os.PathLike[str],
) -> tuple[Float[Tensor, "points 3"], tuple[str, ...]]:
    """Read one point cloud from a file.

    A `.ply` file with faces is a mesh and is rejected: the vertices of a mesh are not spread evenly
    over its surface, so the caller must choose points on the surface. Surface normals, colours and
    all other columns of a file are ignored.

    Args:
        path: File to read, with one of the endings `pcdiff.geometry.reading.CLOUDS`. The ending of
            its name determines the format.

    Returns:
        The points as float32, in the file's unit and frame; and remarks for the user about what was
        left out and how the file was understood.

    Raises:
        InputError: If the file is missing, damaged, too large, a mesh or of another format; or if
            the cloud has fewer than 2 points, has a coordinate that is not finite, or would lose
            its shape in float32.
    """
    path = Path(path)
    if path.suffix.lower() not in CLOUDS:
        raise InputError(f"{path} is not a cloud file: expected the extension {', '.join(CLOUDS)}")
    geometry = read_geometry(path)
    if geometry.faces is not None:
        raise InputError(
            f"{path} is a mesh, expected a point cloud: choose points on its surface first"
        )
    try:
        points = checked_cloud(str(path), geometry.vertices)
    except InputError as error:  # perhaps because of what was left out
        raise InputError("; ".join((str(error), *geometry.remarks))) from error
    return torch.from_numpy(points), geometry.remarks


def save_cloud(path: str | os.PathLike[str], cloud: Float[Tensor, "points 3"]) -> None:
    """Write one point cloud; `load_cloud` reads exactly the same float32 numbers back.

    Args:
        path: File to write: `.ply` (binary), `.xyz` (text) or `.npy`. An existing file is replaced;
            if writing fails, the existing file is unchanged.
        cloud: Points to write, at least 2.

    Raises:
        InputError: If the path has another extension, `load_cloud` would reject the cloud, or the
            file cannot be written.
    """
    points = checked_cloud(f"the cloud for {path}", cloud.detach().cpu().numpy())
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"cannot write {path}: expected the extension .ply, .xyz or .npy")
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        if ending == ".ply":
            header = (
                "ply\nformat binary_little_endian 1.0\n"
                f"element vertex {len(points)}\n"
                "property float x\nproperty float y\nproperty float z\nend_header\n"
            )
            file.write(header.encode() + points.astype("<f4").tobytes())
        elif ending == ".xyz":
            np.savetxt(file, points, fmt="%.9g")  # 9 digits identify every float32
        else:
            np.save(file, points, allow_pickle=False)


def checked_cloud(what: str, points: NDArray[Any]) -> NDArray[np.float32]:
    """Convert the points of a valid cloud to float32.

    Args:
        what: Name of the cloud in the error message.
        points: Points of the cloud.

    Raises:
        InputError: If the array is no cloud of at least 2 finite points, or float32 would move its
            points too far.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"{what} has shape {points.shape}, expected (points, 3)")
    if points.dtype.kind not in "fiu":
        raise InputError(f"{what} has type {points.dtype}, expected real numbers")
    if len(points) < 2:
        raise InputError(f"{what} has {len(points)} points, expected at least 2")
    converted = to_float32(points)
    _check_precision(what, points, converted)
    finite = np.isfinite(converted).all(axis=1)
    if not finite.all():
        raise InputError(f"{what} has a coordinate that is not finite in point {finite.argmin()}")
    return converted


def _check_precision(what: str, points: NDArray[Any], converted: NDArray[np.float32]) -> None:
    """Reject a small cloud far from the origin, because float32 would lose the cloud's shape."""
    if points.dtype == np.float32 or not np.isfinite(converted).all():
        return
    lost = float(np.abs(converted - points).max())
    extent = float(np.ptp(points, axis=0).max())
    if lost > LARGEST_ROUNDING * extent:
        raise InputError(
            f"{what} is {extent:.3g} wide but so far from its origin that float32 moves its points "
            f"by {lost:.2g}: subtract the centre of the cloud first"
        )

"""One point cloud a file: .ply, .xyz or .npy."""

from __future__ import annotations

import os
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.files import atomic_write

if TYPE_CHECKING:
    pass


LARGEST_ROUNDING = 1e-4
"""How far, as a part of its extent, rounding to float32 may move a point of a cloud."""


def one_sentence(message: str) -> str:
    """The first sentence of a message, on one line."""
    return " ".join(message.split()).split(". ")[0].rstrip(".")


def to_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """The numbers as float32; numbers beyond its range become infinite."""
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # beyond float32 lies inf, which the callers refuse by name
        return np.ascontiguousarray(array, np.float32)


def load_cloud(path: str | os.PathLike[str]) -> Float[Tensor, "points 3"]:
    """Read one point cloud from a `.ply`, `.xyz` or `.npy` file.

    A `.ply` file with faces is a mesh and is refused: its vertices are not spread over its
    surface, and which points stand for it is the caller's choice. An `.xyz` file has one point a
    line, three numbers first; what follows them (normals, colours) is ignored. A `.npy` file holds
    an array (points, 3) and nothing pickled.

    Args:
        path: the file; the extension says the format.

    Returns:
        The points as float32, in the file's unit and frame.

    Raises:
        InputError: the file is missing or damaged, a mesh, of another format or shape, has fewer
            than 2 points or a coordinate that is not finite.
    """
    path = Path(path)
    readers = {".ply": _read_ply, ".xyz": _read_xyz, ".npy": _read_npy}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} is not a cloud file: expected the extension .ply, .xyz or .npy")
    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file")
    try:
        points = reader(path)
    except InputError:
        raise
    except _DAMAGED as error:
        # What else readers say of a damaged file is about their own variables.
        ours = isinstance(error, OSError | ValueError) and str(error)
        reason = one_sentence(str(error)) if ours else "it is damaged"
        raise InputError(f"{path} cannot be read as {path.suffix.lower()}: {reason}") from error
    return torch.from_numpy(_checked_cloud(str(path), points))


def save_cloud(path: str | os.PathLike[str], cloud: Float[Tensor, "points 3"]) -> None:
    """Write one point cloud, so that `load_cloud` returns exactly the same float32 numbers.

    Args:
        path: a `.ply` (binary), `.xyz` (text) or `.npy` file; one that exists is replaced, and a
            write that fails leaves it as it was.
        cloud: the points, at least 2.

    Raises:
        InputError: the extension is another one, the cloud breaks the rules of `load_cloud`, or the
            file cannot be written.
    """
    points = _checked_cloud(f"the cloud for {path}", cloud.detach().cpu().numpy())
    suffix = Path(path).suffix.lower()
    if suffix not in (".ply", ".xyz", ".npy"):
        raise InputError(f"cannot write {path}: expected the extension .ply, .xyz or .npy")
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        if suffix == ".ply":
            header = (
                "ply\nformat binary_little_endian 1.0\n"
                f"element vertex {len(points)}\n"
                "property float x\nproperty float y\nproperty float z\nend_header\n"
            )
            file.write(header.encode() + points.astype("<f4").tobytes())
        elif suffix == ".xyz":
            np.savetxt(file, points, fmt="%.9g")  # 9 digits identify every float32
        else:
            np.save(file, points, allow_pickle=False)


# What trimesh's and NumPy's readers raise for damaged files, the last two NumPy's only; their
# authors promise no narrower set.
_DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NameError,
    EOFError,
    tokenize.TokenError,
)


def _read_ply(path: Path) -> NDArray[Any]:
    import trimesh

    loaded = trimesh.load(path, file_type="ply", process=False)
    with path.open("rb") as file:
        header = file.read(2**16).split(b"end_header")[0]
    if len(getattr(loaded, "faces", ())) or b"element tristrips" in header:
        raise InputError(
            f"{path} is a mesh, expected a point cloud: sample points on its surface first"
        )
    return np.asarray(getattr(loaded, "vertices", np.empty((0, 3))))


def _read_xyz(path: Path) -> NDArray[Any]:
    lines = [line for line in path.read_text().splitlines() if line.split("#")[0].strip()]
    table = np.loadtxt(lines, ndmin=2) if lines else np.empty((0, 3))
    if table.shape[1] < 3:
        raise InputError(f"{path} has {table.shape[1]} numbers a line, expected at least 3")
    return table[:, :3]


def _read_npy(path: Path) -> NDArray[Any]:
    # A memory map cannot hold pickled objects, and `numpy.load` would advise to allow them.
    return np.array(np.lib.format.open_memmap(path, mode="r"))


def _checked_cloud(what: str, points: NDArray[Any]) -> NDArray[np.float32]:
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
    """Refuse a small cloud far from the origin, whose shape float32 would lose."""
    if points.dtype == np.float32 or not np.isfinite(converted).all():
        return
    lost = float(np.abs(converted - points).max())
    extent = float(np.ptp(points, axis=0).max())
    if lost > LARGEST_ROUNDING * extent:
        raise InputError(
            f"{what} is {extent:.3g} wide but so far from its origin that float32 moves its points "
            f"by {lost:.2g}: subtract its centre first"
        )

"""How large a file of geometry may be, and how one is opened.

No count in a header reserves memory before it is held against these limits and the file's size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError

UNITS: dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
"""Metres in one of each unit of length."""


MAXIMUM_FACES = 5_000_000
"""Of a mesh, as triangles."""


MAXIMUM_POINTS = 2_500_000
"""Of a point cloud, and pixels of a depth image."""


MAXIMUM_VERTICES = 3 * MAXIMUM_FACES
"""Of a mesh; this many where no two triangles share one, as in an STL file."""


MAXIMUM_BYTES = 256 * 2**20
"""Of a file; a binary STL of `MAXIMUM_FACES` triangles is just smaller."""


def check_file(path: Path) -> None:
    """Refuse a file that is missing, empty or larger than `MAXIMUM_BYTES`."""
    with file_errors(path):
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if not path.is_file():
            raise InputError(f"{path} is not a file")
        size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty")
    if size > MAXIMUM_BYTES:
        raise InputError(
            f"{path} has {size / 2**20:.0f} MiB, more than the {MAXIMUM_BYTES // 2**20} MiB that "
            "are read: make it coarser"
        )


def read_bytes(path: Path) -> bytes:
    """All of a file that `check_file` lets pass."""
    check_file(path)
    with file_errors(path):
        return path.read_bytes()


def read_npy(path: Path) -> np.ndarray:
    """The array in an npy file, mapped, so that a header cannot reserve more than there is.

    Raises:
        InputError: The file is missing, damaged or too large, or needs unpickling.
    """
    check_file(path)
    with file_errors(path):
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, SyntaxError) as error:
            raise InputError(f"{path} is a damaged npy file, or holds no array") from error


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence about the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def check_count(path: Path, count: int, limit: int, what: str) -> None:
    """Refuse a file of more than `limit` things; `what` is their name in the plural."""
    if count > limit:
        raise InputError(
            f"{path} has {count} {what}, more than the {limit} that are read: make it coarser"
        )

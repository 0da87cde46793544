"""Limits on the size of geometry files, and functions that read files within these limits.

A reader compares every count in the header of a file with these limits and with the size of the
file, before the reader reserves memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pcdiff import untrusted
from pcdiff.errors import InputError

UNITS: dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
"""Length of each unit in metres."""


MAXIMUM_FACES = 5_000_000
"""Largest number of triangles in a mesh."""


MAXIMUM_POINTS = 2_500_000
"""Largest number of points in a cloud, and largest number of pixels in a depth image."""


MAXIMUM_VERTICES = 3 * MAXIMUM_FACES
"""Largest number of vertices in a mesh. In an STL file, no two triangles share a vertex."""


MAXIMUM_BYTES = 256 * 2**20
"""Largest size of a file in bytes, enough for a binary STL file of `MAXIMUM_FACES` faces."""


DAMAGED_JSON = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Errors that may arise when JSON is parsed and an entry is then converted to a number."""


def check_file(path: Path) -> None:
    """Check that a file exists, is not empty and has at most `MAXIMUM_BYTES` bytes.

    Raises:
        InputError: If the file is missing, not a file, empty or too large, or if the
            operating system cannot access the file.
    """
    size = untrusted.file_size(path)
    if size == 0:
        raise InputError(f"{path} is empty")
    if size > MAXIMUM_BYTES:
        raise InputError(
            f"{path} has {size / 2**20:.1f} MiB, more than the limit of "
            f"{MAXIMUM_BYTES // 2**20} MiB: reduce the resolution"
        )


def read_bytes(path: Path) -> bytes:
    """Check a file with `check_file` and return the contents of the file.

    Raises:
        InputError: If the file fails the check or cannot be read.
    """
    check_file(path)
    return untrusted.read_bytes(path, MAXIMUM_BYTES)


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Convert an error of the operating system to an `InputError` that names the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def check_count(path: Path | str, count: int, limit: int, what: str) -> None:
    """Check that a file, or a geometry in memory, contains at most `limit` items.

    Args:
        path: File that contains the items, or the name of the geometry.
        count: Number of items.
        limit: Largest number of items that is accepted.
        what: Plural name of the items in the error message.

    Raises:
        InputError: If there are more than `limit` items.
    """
    if count > limit:
        raise InputError(
            f"{path} has {count} {what}, expected at most {limit}: reduce the resolution"
        )

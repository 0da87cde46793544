"""Checks of files that strangers wrote, made before the content of a file is read or unpacked.

A file may state sizes that are absurd, unpack to a thousand times its size, or not be a file at all
but a pipe that never ends. Every reader calls these functions first, so that a hostile file costs
neither memory nor time.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from pcdiff.errors import InputError

MOST_MEMORY = 2**29
"""Largest number of bytes that the parsed values of one text may take in memory."""

SMALL = 2**28
"""Number of bytes that a reader may always unpack, whatever the size of the file."""

LARGEST_EXPANSION = 32
"""Largest ratio of unpacked bytes to stored bytes beyond `SMALL`. Measured coordinates and poses
shrink by less than a factor of 4, so a larger ratio means that the file holds nothing."""

# Bytes that Python needs for each list, mapping, and entry of either, once JSON has been parsed.
_COSTS = (("[", 80), ("{", 240), (",", 40), (":", 40))

_SURROGATE = re.compile("[\ud800-\udfff]")


def file_size(path: str | os.PathLike[str], limit: int | None = None) -> int:
    """Return the size of a file in bytes, after a check that it is a regular file.

    Opening a pipe would wait forever, and a device such as `/dev/zero` has no end.

    Args:
        path: File to check; a symbolic link is followed.
        limit: Largest accepted size in bytes; None for no limit.

    Raises:
        InputError: If the path does not exist, is not a regular file, or cannot be accessed, or if
            the file is larger than the limit.
    """
    try:
        found = Path(path).stat()
    except FileNotFoundError as error:
        raise InputError(f"{printable(path)} does not exist") from error
    except (OSError, ValueError) as error:  # a NUL in the path raises ValueError
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{printable(path)} cannot be read: {reason}") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{printable(path)} is not a file")
    if limit is not None and found.st_size > limit:
        raise InputError(
            f"{printable(path)} has {found.st_size} bytes, expected at most {limit} bytes"
        )
    return found.st_size


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Args:
        path: File to read.
        limit: Largest accepted size in bytes.

    Raises:
        InputError: If the file fails the check of `file_size`, or cannot be read.
    """
    # Some files of the system state a size of 0 and then never end.
    size = file_size(path, limit)
    if size == 0:
        return b""
    try:
        with Path(path).open("rb") as file:
            return file.read(size)  # Python reserves this many bytes
    except OSError as error:
        raise InputError(f"{printable(path)} cannot be read: {error.strerror or error}") from error


def check_expansion(what: str, unpacked: int, stored: int) -> None:
    """Check that stored data are not a bomb, which unpacks to far more than was stored.

    Args:
        what: Name of the data, for the error message.
        unpacked: Number of bytes after unpacking, as the file states it.
        stored: Number of bytes in the file.

    Raises:
        InputError: If there are more than `SMALL` unpacked bytes and more than `LARGEST_EXPANSION`
            per stored byte.
    """
    if unpacked > SMALL and unpacked > LARGEST_EXPANSION * stored:
        raise InputError(
            f"{what} must store at least 1 byte per {LARGEST_EXPANSION} unpacked bytes, "
            f"got {stored} bytes for {unpacked}"
        )


def check_json(text: str | bytes) -> None:
    """Check that the values of a JSON text fit into `MOST_MEMORY` bytes once they are parsed.

    A list takes two bytes in the text and thirty times as many in memory.

    Args:
        text: Text to check.

    Raises:
        InputError: If the text has too many lists, mappings or entries.
    """
    if len(text) * max(cost for _, cost in _COSTS) <= MOST_MEMORY:  # too short to hold so many
        return
    needed = 0
    for sign, cost in _COSTS:
        needed += cost * (text.count(sign) if isinstance(text, str) else text.count(sign.encode()))
    if needed > MOST_MEMORY:
        raise InputError(
            f"the values must need at most {MOST_MEMORY >> 20} MiB of memory, got values that need "
            f"about {needed >> 20} MiB"
        )


def printable(name: object) -> str:
    r"""Return the text of a name, with `\x80` in place of a byte that is not UTF-8.

    The name of a file may hold any bytes. Python reads such bytes as surrogates, which no file and
    no terminal accepts.

    Args:
        name: A path or a text.
    """
    return _SURROGATE.sub(_escaped, str(name))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

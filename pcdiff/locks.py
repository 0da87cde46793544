"""A lock that lets only one process write into a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pcdiff.errors import InputError

LOCK = ".lock"
"""Name of the file that the process holds open while it writes into the folder."""


@contextlib.contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Hold a folder for this process until the `with` block ends.

    The operating system releases the lock of a process that ends in any way, so a process that was
    killed leaves behind an empty file `.lock` but no lock.

    Args:
        folder: Folder to hold; created if missing.

    Raises:
        InputError: If another process holds the folder, or the folder cannot be written.
    """
    path = folder / LOCK
    descriptor = _locked(path, folder)
    try:
        yield
    finally:
        # The file goes while it is still locked, so that no process can lock a file that has gone.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _locked(path: Path, folder: Path) -> int:
    """Return the descriptor of the lock file, locked."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(f"cannot write into {folder}: {error.strerror or error}") from error
        if not _lock(descriptor):
            os.close(descriptor)
            raise InputError(
                f"another process writes into {folder}: wait until it has ended, or choose another "
                "folder"
            )
        # Another process may have removed the file after it was opened here, and before its lock.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file, and return False if another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(f"this file system cannot lock a file: {error.strerror}") from error
    return True

"""Writing files so that a reader never sees an incomplete one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pcdiff.errors import InputError

_PARTIAL = ".partial-"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file completely or not at all.

    When the `with` block ends, the temporary file is flushed to the disk and replaces `path` in one
    step, so at every moment `path` is either the old file or the complete new one. When the block
    raises, the temporary file is removed and `path` is unchanged. Only a killed process or a power
    cut can leave a temporary file behind, named `.partial-*`.

    The block should only write: an `OSError` in it is reported as a failure to write `path`.

    Args:
        path: Path of the file. A missing folder is created, an existing file is replaced, and a
            symbolic link is followed.

    Yields:
        The path of a new empty file in the same folder, with the same suffix.

    Raises:
        InputError: If the file cannot be written, because the disk is full, permission is missing,
            or the path is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    # The name does not contain the target's, which may already have the largest length allowed.
    temporary = target.parent / f"{_PARTIAL}{secrets.token_hex(8)}{target.suffix}"
    try:
        if target.exists() and not target.is_file():
            raise InputError(f"cannot write {path}: it exists and is not a regular file")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Not created by `tempfile`, so that it gets the usual permissions of a new file.
            temporary.touch(exist_ok=False)
            yield temporary
            _flush(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    # The file is complete and in place. Some file systems cannot flush a folder; then only a power
    # cut within the next seconds could undo the renaming.
    with contextlib.suppress(OSError):
        _flush(target.parent)


def prepare_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder if it is missing, and check that files can be written into it.

    Call it before long work, so that the work is not lost. Temporary files of a killed
    `atomic_write` are removed, so only one process at a time may use the folder.

    Args:
        path: Path of the folder.

    Returns:
        The same path.

    Raises:
        InputError: If the folder cannot be created or is not writable.
    """
    folder = Path(path)
    probe = folder / f"{_PARTIAL}{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        for leftover in folder.glob(f"{_PARTIAL}*"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write into {path}: {error.strerror or error}") from error
    return folder


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

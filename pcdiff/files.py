"""Functions that write files in one step, so that a reader never sees an incomplete file."""

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

    At the end of the `with` block, the temporary file is flushed to the disk and replaces `path` in
    one step. At every moment, `path` is therefore either the old file or the complete new file. If
    the block raises an exception, the temporary file is removed and `path` is unchanged. Only a
    killed process or a power cut can leave behind a temporary file, with a name `.partial-*`.

    The block should only write the temporary file, because an `OSError` in the block is reported
    as a failure to write `path`.

    Args:
        path: Path of the file. A missing folder is created, an existing file is replaced, and a
            symbolic link is followed.

    Yields:
        The path of the temporary file: an empty file with the folder and the suffix of `path`.

    Raises:
        InputError: If the file cannot be written, for example because the disk is full, because
            permission is missing, or because the path is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    # The target's name may already have the largest length allowed, so the new name omits it.
    temporary = target.parent / f"{_PARTIAL}{secrets.token_hex(8)}{target.suffix}"
    try:
        if target.exists() and not target.is_file():
            raise InputError(f"cannot write {path}: the path exists and is not a regular file")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # `tempfile` would restrict the permissions; `touch` sets the usual permissions.
            temporary.touch(exist_ok=False)
            yield temporary
            _flush(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    # The file is complete and in place. Some file systems cannot flush a folder. On such a system,
    # a power cut within the next seconds could undo the renaming.
    with contextlib.suppress(OSError):
        _flush(target.parent)


def prepare_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder if the folder is missing, and check that it is writable.

    Call this function before long work, so that the results can be saved. The function removes
    temporary files of a killed `atomic_write`, so only one process at a time may use the folder.

    Args:
        path: Path of the folder.

    Returns:
        The path of the folder.

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

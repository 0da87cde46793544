"""Writing files so that a reader never sees half of one."""

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

    Yields the path of a new empty file in the same folder and with the same suffix. When the body
    ends, that file is flushed to the disk and takes the place of `path` in one step, so at every
    moment `path` is either the old file or the whole new one. When the body raises, the temporary
    file is removed and `path` is as it was. Only a killed process or a power cut can leave a
    temporary file, named `.partial-*`.

    The body should do nothing but write: an `OSError` from it counts as a failure to write.

    Args:
        path: the file to write. A missing folder is made; an existing file is replaced; a symbolic
            link is followed.

    Raises:
        InputError: the file cannot be written (full disk, no permission, the path is a folder or a
            device); the sentence names `path`.
    """
    target = Path(os.path.realpath(path))
    # The name does not depend on the target's, which may already be as long as a name may be.
    temporary = target.parent / f"{_PARTIAL}{secrets.token_hex(8)}{target.suffix}"
    try:
        if target.exists() and not target.is_file():
            raise InputError(f"cannot write {path}: it is there and is not a regular file")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Created here, not by `tempfile`, so that it gets the permissions of a usual new file.
            temporary.touch(exist_ok=False)
            yield temporary
            _flush(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    # The file is whole and in place. Some file systems cannot flush a folder, which loses nothing
    # but the certainty that the new name survives a power cut in the next seconds.
    with contextlib.suppress(OSError):
        _flush(target.parent)


def prepare_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder that can be written to, if it is not there, before hours of work for it.

    What a killed `atomic_write` left behind in it is removed, so one process at a time may own it.

    Args:
        path: the folder.

    Raises:
        InputError: it cannot be made, or nothing can be written into it; the sentence names it.
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

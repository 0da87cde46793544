"""HDF5 files of strangers, read with checks, and HDF5 files that are written in one step.

The HDF5 library follows links into other files, reads arrays that another file stores, and reserves
whatever size a file states. `open_hdf5`, `find` and `read` refuse all of this with a sentence.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pcdiff.errors import InputError, cause_of
from pcdiff.files import atomic_write
from pcdiff.untrusted import check_expansion, file_size

if TYPE_CHECKING:
    import h5py

LARGEST_DATASET = 2**34
"""Largest number of bytes in one dataset; the 15000-point chairs of ShapeNet take 1.2 GB."""

LARGEST_CHUNK = 2**28
"""Largest number of bytes in a chunk of a dataset, which the library unpacks as a whole."""

LONGEST_TEXT = 2**24
"""Largest number of bytes of all texts in a dataset."""

_DEEPEST_LINKS = 16
"""Largest number of links from one name in a file to another name."""


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike[str], what: str | None = None) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Args:
        path: File to open, which must be a regular file.
        what: Name of the file at the start of error messages; None means its path.

    Raises:
        InputError: If the file is missing, is not a regular file or not HDF5, or if the library
            finds damaged content in the `with` block.
    """
    import h5py

    what = str(path) if what is None else what

    file_size(path)
    try:
        Path(path).open("rb").close()  # an unreadable file raises an error that names the reason
        if not h5py.is_hdf5(path):
            raise InputError(f"{what} is not an HDF5 file")
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # h5py does not document what it raises for a damaged file
        raise InputError(f"{what} cannot be read as HDF5: {_reason(error)}") from error


def names(group: h5py.Group) -> list[str]:
    """Return the names in a group without following links, sorted.

    Args:
        group: Group to list.
    """
    return sorted(group.keys())


def listed(group: h5py.Group, most: int = 8) -> str:
    """Return the first names in a group as a text for an error message.

    Args:
        group: Group to list.
        most: Largest number of names in the text.
    """
    all_names = names(group)
    more = [f"and {len(all_names) - most} more"] if len(all_names) > most else []
    return ", ".join([*all_names[:most], *more])


def find(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return what a group holds under a name, or None, without leaving the file.

    Args:
        group: Group in which the search begins.
        name: Names separated by slashes.

    Raises:
        InputError: If the name leads into another file, or to too many further links.
    """
    return _find(group, name, _DEEPEST_LINKS)


def _find(group: h5py.Group, name: str, links: int) -> h5py.Group | h5py.Dataset | None:
    import h5py

    where: Any = group.file if name.startswith("/") else group
    for part in filter(None, name.split("/")):
        if part == ".":
            continue
        link = where.get(part, getlink=True) if isinstance(where, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink):
            raise InputError(
                f"{part} must be stored in the file itself, got a link to the file {link.filename}"
            )
        if isinstance(link, h5py.SoftLink):
            if not links:
                raise InputError(f"{part} must be stored under its name, got a circle of links")
            where = _find(where, link.path, links - 1)
        else:
            where = where.get(part)
        if where is None:
            return None
    found: h5py.Group | h5py.Dataset = where
    return found


def check_dataset(dataset: h5py.Group | h5py.Dataset, limit: int = LARGEST_DATASET) -> None:
    """Check that a dataset is stored in its own file, and has a size that may be read.

    Args:
        dataset: Dataset to check.
        limit: Largest accepted number of bytes in memory.

    Raises:
        InputError: If it is a group, has no values, is stored in another file or made from other
            datasets, needs more than `limit` bytes, or states far more bytes than the file holds.
    """
    import h5py

    name = str(dataset.name).lstrip("/")
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(f"{name} must be a dataset, got a group")
    if dataset.is_virtual:
        raise InputError(f"{name} must be stored in the file itself, got a virtual dataset")
    if dataset.external:
        raise InputError(
            f"{name} must be stored in the file itself, got a dataset that is stored in the file "
            f"{dataset.external[0][0]}"
        )
    if dataset.shape is None:
        raise InputError(f"{name} must hold values, got a dataset without values")
    # The product of the shape as Python's integers, which cannot overflow.
    needed = dataset.dtype.itemsize
    for length in dataset.shape:
        needed *= length
    if needed > limit:
        raise InputError(
            f"{name} must need at most {limit} bytes, got {needed} for shape {dataset.shape}"
        )
    chunk = dataset.dtype.itemsize
    for length in dataset.chunks or ():
        chunk *= length
    if dataset.chunks and chunk > LARGEST_CHUNK:
        raise InputError(
            f"{name} must have chunks of at most {LARGEST_CHUNK} bytes, got chunks of {chunk}"
        )
    check_expansion(name, needed, dataset.id.get_storage_size())


def read_texts(dataset: h5py.Group | h5py.Dataset) -> list[object]:
    """Read a dataset of texts as a flat list; encoded text is decoded.

    A dataset that holds something else than text gives the values that it holds.

    Args:
        dataset: Dataset to read.

    Raises:
        InputError: If `check_dataset` fails, or the texts have more than `LONGEST_TEXT` bytes.
    """
    check_dataset(dataset, LONGEST_TEXT)
    if dataset.dtype.kind != "O":
        values = np.asarray(dataset[()]).reshape(-1).tolist()
        return [_decoded(value) for value in values]
    # Any number of texts of variable length may refer to the same long text, so count as we read.
    texts: list[object] = []
    read = 0
    for place in np.ndindex(dataset.shape):
        value = _decoded(dataset[place])
        read += len(value) if isinstance(value, str) else 0
        if read > LONGEST_TEXT:
            name = str(dataset.name).lstrip("/")
            raise InputError(f"{name} must have at most {LONGEST_TEXT} bytes of text, got more")
        texts.append(value)
    return texts


def _decoded(value: object) -> object:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def attributes(group: h5py.Group, wanted: tuple[str, ...]) -> dict[str, Any]:
    """Read some attributes of a group.

    Args:
        group: Group with the attributes.
        wanted: Names to read; the result lacks the names that the group lacks.

    Raises:
        InputError: If an attribute is an array of more than one value.
    """
    found: dict[str, Any] = {}
    for name in wanted:
        if name in group.attrs:
            shape = group.attrs.get_id(name).shape
            if shape not in ((), (1,)):
                raise InputError(f"the attribute {name} must be one value, got shape {shape}")
            value = group.attrs[name]
            found[name] = _decoded(value.item() if isinstance(value, np.generic) else value)
    return found


@contextlib.contextmanager
def new_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Write an HDF5 file completely or not at all.

    The file is built in memory, because the HDF5 library crashes if the disk is full. At the end of
    the `with` block it is written in one step.

    Args:
        path: File to write; an existing file is replaced.

    Raises:
        InputError: If the file cannot be written.
    """
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        yield file
    with atomic_write(path) as temporary, temporary.open("wb") as written:
        written.write(content.getbuffer())


def _reason(error: Exception) -> str:
    """The operating system's message if HDF5 reports an error number, otherwise HDF5's message."""
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    number = re.search(r"errno = (\d+)", message)
    if number:
        return os.strerror(int(number[1]))
    return " ".join(message.split()).split(". ")[0].rstrip(".") or cause_of(error)

"""Readers of NumPy's array files, which never unpickle anything."""

from __future__ import annotations

import io
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pcdiff.errors import InputError, cause_of, reading
from pcdiff.geometry.kinds import check_kind
from pcdiff.geometry.limits import MAXIMUM_BYTES, check_count, check_file, read_bytes


def read_npy(path: Path) -> np.ndarray:
    """Memory-map the array of a .npy file, so that a wrong header cannot make NumPy reserve memory.

    Raises:
        InputError: If the file is missing, damaged, too large or of another kind, or holds pickled
            Python objects.
    """
    check_file(path)
    check_kind(path, "a .npy file")
    with reading(path, "a .npy file"):
        with path.open("rb") as file:
            if file.read(6) != np.lib.format.MAGIC_PREFIX:
                raise InputError(f"{path} is not a .npy file: it does not start like one")
            file.seek(0)
            needed = _bytes_of_array(file, str(path))
            left = os.fstat(file.fileno()).st_size - file.tell()
        if needed > left:
            raise InputError(
                f"{path} is truncated: its header promises {needed} bytes of numbers, got {left}"
            )
        if not needed:  # an empty array cannot be mapped
            return np.load(path, allow_pickle=False)
        return np.lib.format.open_memmap(path, mode="r")


def read_npz(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the requested arrays of a .npz file.

    Args:
        path: File to read.
        names: Names of the requested arrays. The result omits the names that the file lacks.

    Raises:
        InputError: If the file is missing, damaged, too large or of another kind, or a requested
            array holds pickled Python objects.
    """
    content = read_bytes(path)
    check_kind(path, "a .npz file")
    if not content.startswith(b"PK"):
        raise InputError(f"{path} is not a .npz file: it does not start like one")
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise InputError(f"{path} is cut off or damaged: the list of its arrays is missing")
    arrays: dict[str, np.ndarray] = {}
    with reading(path, "a .npz file"), zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name not in names:
                continue
            if name in arrays:
                raise InputError(f"{path} must have one array {name}, got several")
            what = f"bytes in the array {name}"
            check_count(path, entry.file_size, MAXIMUM_BYTES, what)
            # NumPy reserves the memory that the header states, so the header is checked first.
            with archive.open(entry) as file:
                check_count(
                    path, _bytes_of_array(file, f"the array {name} in {path}"), MAXIMUM_BYTES, what
                )
            with archive.open(entry) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def array_header(file: Any, what: str) -> tuple[tuple[int, ...], np.dtype]:
    """Read the shape and the type of an array in the .npy format.

    Args:
        file: Binary file at the start of the header; afterwards it is at the start of the numbers.
        what: Name of the array in error messages.

    Raises:
        InputError: If the header is damaged, or the shape is impossible.
    """
    try:
        if np.lib.format.read_magic(file) == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    except OSError:
        raise
    except Exception as error:  # NumPy parses the header as Python and raises what that raises
        raise InputError(
            f"the header of {what} is cut off or damaged: {cause_of(error)}"
        ) from error
    if any(type(length) is not int or length < 0 for length in shape):
        raise InputError(f"{what} must have a shape of whole numbers of at least 0, got {shape}")
    return shape, dtype


def _bytes_of_array(file: Any, what: str) -> int:
    """Read the header of an array, and return the number of bytes that its numbers need.

    Raises:
        InputError: If the array holds pickled Python objects, or for the reasons of `array_header`.
    """
    shape, dtype = array_header(file, what)
    if dtype.hasobject:
        raise InputError(f"{what} holds pickled Python objects, which are never loaded")
    return math.prod(shape) * dtype.itemsize

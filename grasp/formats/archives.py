"""Reading and writing of .npz archives of plain arrays; nothing in them is unpickled."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError, cause_of
from pcdiff.geometry.arrays import array_header
from pcdiff.geometry.limits import MAXIMUM_BYTES


def read_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read all arrays of numbers and texts in a .npz file.

    Args:
        path: File to read.

    Returns:
        The arrays by name, and the names of the arrays that contain pickled Python objects and
        were not read.

    Raises:
        InputError: If the file is damaged, is not a .npz file, or is too large.
    """
    arrays: dict[str, np.ndarray] = {}
    pickled = []
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > MAXIMUM_BYTES:
                raise InputError(
                    f"the arrays must have at most {MAXIMUM_BYTES} bytes in total, got {size}"
                )
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                # NumPy reserves the memory that a header states, so the header is checked first.
                with archive.open(entry) as file:
                    shape, dtype = array_header(file, f"the array {name}")
                if dtype.hasobject:
                    pickled.append(name)
                    continue
                if math.prod(shape) * dtype.itemsize > entry.file_size:
                    raise InputError(f"the array {name} is truncated")
                with archive.open(entry) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except RuntimeError as error:  # an encrypted archive
        raise InputError(f"the .npz file cannot be read: {error}") from error
    except Exception as error:  # the libraries raise errors of many kinds
        cause = cause_of(error)
        raise InputError(f"the file is damaged or is not a .npz file ({cause})") from error
    return arrays, pickled


def write_arrays(temporary: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a new .npz file.

    Args:
        temporary: File to write.
        arrays: Arrays of numbers and texts by name.
    """
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            # A fixed time, so that equal arrays make equal files.
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)

"""Readers of tables of points in .xyz and .npy files."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import MAXIMUM_POINTS, check_count, read_npy
from pcdiff.geometry.text import LineError, lines_of


def read_xyz(path: Path) -> Geometry:
    """Read a cloud from a text file with one point per line. For the errors, see `read_geometry`.

    The first three columns are x, y and z. In a file with exactly six columns, the last three
    columns are the surface normal. In other files, additional columns are ignored. Columns are
    separated by spaces or commas, and the character `#` starts a comment.
    """
    values, width = array("d"), 0
    with lines_of(path) as lines:
        for words in lines:
            row = " ".join(words).partition("#")[0].replace(",", " ").split()
            if not row:
                continue
            if len(row) < 3:
                raise LineError(f"expected at least 3 numbers, got {len(row)}")
            width = width or len(row)
            if len(row) != width:
                raise LineError(f"expected {width} numbers as in the first row, got {len(row)}")
            numbers = [float(word) for word in row]
            values.extend(numbers if width == 6 else numbers[:3])
            check_count(path, len(values) // (6 if width == 6 else 3), MAXIMUM_POINTS, "points")
    if not width:
        raise InputError(f"{path} has no points")
    return _points_and_normals(np.array(values).reshape(-1, 6 if width == 6 else 3))


def read_npy_points(path: Path) -> Geometry:
    """Read a cloud from a .npy array of shape (n, 3), or (n, 6) with surface normals.

    For the errors, see `read_geometry`.
    """
    table = read_npy(path)
    shape = table.shape
    if len(shape) != 2 or shape[1] not in (3, 6) or table.dtype.kind not in "fiu":
        raise InputError(
            f"{path} must contain numbers of shape (n, 3), or (n, 6) with normals, "
            f"got {table.dtype} of shape {shape}"
        )
    check_count(path, len(table), MAXIMUM_POINTS, "points")
    return _points_and_normals(np.array(table, np.float64))


def _points_and_normals(table: np.ndarray) -> Geometry:
    return Geometry(table[:, :3], None, table[:, 3:] if table.shape[1] == 6 else None)

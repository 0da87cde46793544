"""Reader of binary and text STL files."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import MAXIMUM_FACES, check_count, file_errors
from pcdiff.geometry.text import lines_of, triples

_STL_HEADER = 84


_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path) -> Geometry:
    """Read a mesh from an STL file. For the errors, see `read_geometry`."""
    with file_errors(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(512)
        count = int.from_bytes(header[80:84], "little")
        promised = _STL_HEADER + count * _STL_TRIANGLE.itemsize
        # A binary file may also start with "solid", but almost always has a zero byte.
        if size != promised and header.lstrip().startswith(b"solid") and b"\0" not in header:
            vertices = _ascii_stl(path)
        elif size < _STL_HEADER:
            raise InputError(f"{path} is truncated: its STL header is incomplete")
        else:
            if size != promised:
                raise InputError(
                    f"{path} is truncated or is not an STL file: its header promises {count} "
                    f"triangles, which need {promised} bytes, but the file has {size} bytes"
                )
            check_count(path, count, MAXIMUM_FACES, "faces")
            file.seek(_STL_HEADER)
            triangles = np.fromfile(file, _STL_TRIANGLE, count)
            vertices = triangles["corners"].reshape(-1, 3).astype(np.float64)
    return Geometry(vertices, np.arange(len(vertices)).reshape(-1, 3))


def _ascii_stl(path: Path) -> np.ndarray:
    coordinates, ended = array("d"), False
    with lines_of(path) as lines:
        for words in lines:
            keyword = words[0].lower() if words else ""
            if keyword == "vertex":
                coordinates.extend((float(words[1]), float(words[2]), float(words[3])))
                check_count(path, len(coordinates) // 9, MAXIMUM_FACES, "faces")
                ended = False
            elif keyword == "endsolid":
                ended = True
    if not ended or len(coordinates) % 9:
        raise InputError(f"{path} is truncated: the last triangle or the line endsolid is missing")
    return triples(coordinates)

"""Reader of binary and text STL files."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import MAXIMUM_FACES, check_count, file_errors
from pcdiff.geometry.polygons import triangulate
from pcdiff.geometry.text import lines_of, number, triples

_STL_HEADER = 84


_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def read_stl(path: Path) -> Geometry:
    """Read a mesh from an STL file. For the errors, see `read_geometry`.

    Bytes after the triangles of a binary file are ignored with a remark, unless they are more than
    the triangles need: then the number of triangles in the header is wrong.
    """
    with file_errors(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(4096)
        count = int.from_bytes(header[80:_STL_HEADER], "little")
        promised = _STL_HEADER + count * _STL_TRIANGLE.itemsize
        if size != promised and _is_text(header):
            return _ascii_stl(path)
        if size < _STL_HEADER:
            raise InputError(f"{path} is truncated: its STL header is incomplete")
        after = size - promised
        if after < 0 or after > promised - _STL_HEADER:
            raise InputError(
                f"{path} is {'truncated' if after < 0 else 'damaged'} or is not an STL file: its "
                f"header promises {count} triangles, which need {promised} bytes, but the file has "
                f"{size} bytes"
            )
        check_count(path, count, MAXIMUM_FACES, "faces")
        file.seek(_STL_HEADER)
        triangles = np.fromfile(file, _STL_TRIANGLE, count)
    vertices = triangles["corners"].reshape(-1, 3).astype(np.float64)
    remarks = (f"ignored {after} bytes after the last triangle",) if after else ()
    return Geometry(vertices, np.arange(len(vertices)).reshape(-1, 3), remarks=remarks)


def _is_text(start: bytes) -> bool:
    """Check whether a file starts like a text STL file, perhaps after comments.

    A binary file may also start with "solid", but the number of its triangles is below 2²⁴, so that
    the last of the first 84 bytes is 0.
    """
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = start.decode("utf-16" if wide else "utf-8", "replace").lower()
    return ("\0" not in text if wide else b"\0" not in start[:_STL_HEADER]) and (
        "solid" in text or "facet" in text
    )


def _ascii_stl(path: Path) -> Geometry:
    coordinates, lengths, ended = array("d"), array("q"), False
    open_corners = 0  # corners of the facet that is being read
    with lines_of(path) as lines:
        for words in lines:
            keyword = words[0].lower() if words else ""
            if keyword == "vertex":
                coordinates.extend((number(words[1]), number(words[2]), number(words[3])))
                check_count(path, len(coordinates) // 9, MAXIMUM_FACES, "faces")
                open_corners += 1
                ended = False
            elif keyword in ("endloop", "endfacet", "facet", "endsolid", "end"):
                if open_corners:
                    lengths.append(open_corners)
                open_corners = 0
                ended = (
                    ended or keyword == "endsolid" or [w.lower() for w in words[1:2]] == ["solid"]
                )
    if not ended or open_corners:
        raise InputError(f"{path} is truncated: the last triangle or the line endsolid is missing")
    vertices = triples(coordinates)
    split = triangulate(path, vertices, np.array(lengths, np.int64), np.arange(len(vertices)))
    return Geometry(vertices, split.faces, remarks=split.remarks)

"""Reader of Wavefront OBJ files."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from pcdiff.geometry.geometry import Geometry, check_corners
from pcdiff.geometry.limits import MAXIMUM_VERTICES, check_count, check_file, read_bytes
from pcdiff.geometry.text import LineError, add_polygon, lines_of, triples


def read_obj(path: Path) -> Geometry:
    """Read a mesh from a Wavefront OBJ file. For the errors, see `read_geometry`.

    The names of the objects are those of the lines `o`, or those of the groups (lines `g`) in a
    file with fewer than two objects.
    """
    vertices, faces, starts = _obj(path)
    objects = [start for start in starts if start[0] == "o"]
    groups = [start for start in starts if start[0] == "g"]
    if len({name for _, name, _ in objects}) < 2 and groups:
        objects = groups
    if not objects:
        return Geometry(vertices, faces)
    number: dict[str, int] = {}
    numbers = [-1, *(number.setdefault(name, len(number)) for _, name, _ in objects)]
    lengths = np.diff([0, *(first for _, _, first in objects), len(faces)])
    return Geometry(vertices, faces, names=tuple(number), owners=np.repeat(numbers, lengths))


def read_obj_objects(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read each named object (line `o`) of a Wavefront OBJ file as a separate mesh.

    Args:
        path: File to read.

    Returns:
        One pair (vertices, faces) per named object, with only the vertices that the faces use.

    Raises:
        InputError: If a face has a vertex that does not exist, or if `read_geometry` would raise an
            error.
    """
    check_file(path)
    vertices, faces, starts = _obj(path)
    check_corners(path, vertices, faces)
    objects = []
    firsts = [first for keyword, _, first in starts if keyword == "o"]
    for first, last in pairwise([*firsts, len(faces)]):
        used, corners = np.unique(faces[first:last], return_inverse=True)
        objects.append((vertices[used], corners.reshape(-1, 3)))
    return objects


def _obj(path: Path) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str, int]]]:
    """Return the vertices, the faces, and the lines `o` and `g`.

    Such a line gives its keyword, its name and the number of faces before it.
    """
    coordinates, corners = array("d"), array("q")
    starts: list[tuple[str, str, int]] = []
    edge = False
    with lines_of(path) as lines:
        for words in _continued(lines):
            keyword = words[0] if words else ""
            edge = keyword == "f" and len(words) < 4  # a face without area, or cut off
            if keyword == "v":
                coordinates.extend((float(words[1]), float(words[2]), float(words[3])))
                check_count(path, len(coordinates) // 3, MAXIMUM_VERTICES, "vertices")
            elif keyword == "f":
                polygon = []
                for word in words[1:]:
                    corner = int(word.partition("/")[0])
                    if corner == 0:
                        raise LineError("vertex numbers must start at 1, got 0")
                    # A negative number counts backwards from the latest vertex.
                    polygon.append(corner - 1 if corner > 0 else len(coordinates) // 3 + corner)
                add_polygon(corners, polygon, path)
            elif keyword in ("o", "g"):
                starts.append((keyword, " ".join(words[1:]), len(corners) // 3))
        if edge and not read_bytes(path).endswith(b"\n"):
            raise LineError("the file ends in the middle of a face")
    return triples(coordinates), triples(corners), starts


def _continued(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    """Join each line that ends in a backslash with the line after it."""
    for words in lines:
        # A backslash does not continue a comment.
        while words and words[-1].endswith("\\") and not words[0].startswith("#"):
            words = [*words[:-1], *words[-1][:-1].split(), *next(lines, [])]
        yield words

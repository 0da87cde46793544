"""Reader of Wavefront OBJ files."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError, reading
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import (
    MAXIMUM_FACES,
    MAXIMUM_VERTICES,
    check_count,
    check_file,
    read_bytes,
)
from pcdiff.geometry.polygons import Triangles, triangulate
from pcdiff.geometry.text import LineError, lines_of, number, triples


@dataclass(frozen=True)
class _Obj:
    """The contents of an OBJ file.

    Attributes:
        vertices: Vertices of shape (vertices, 3).
        split: The triangles of the faces.
        starts: Keyword, name and number of faces before it of each line `o` or `g`.
    """

    vertices: np.ndarray
    split: Triangles
    starts: list[tuple[str, str, int]]


def read_obj(path: Path) -> Geometry:
    """Read a mesh from a Wavefront OBJ file. For the errors, see `read_geometry`.

    The names of the objects are those of the lines `o`, or those of the groups (lines `g`) in a
    file with fewer than two objects.
    """
    found = _obj(path)
    mesh = Geometry(found.vertices, found.split.faces, remarks=found.split.remarks)
    objects = [start for start in found.starts if start[0] == "o"]
    groups = [start for start in found.starts if start[0] == "g"]
    if len({name for _, name, _ in objects}) < 2 and groups:
        objects = groups
    if not objects:
        return mesh
    number: dict[str, int] = {}
    numbers = np.array([-1, *(number.setdefault(name, len(number)) for _, name, _ in objects)])
    firsts = [first for _, _, first in objects]
    owners = numbers[np.searchsorted(firsts, found.split.polygon, side="right")]
    return replace(mesh, names=tuple(number), owners=owners)


def read_obj_objects(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read each named object (line `o`) of a Wavefront OBJ file as a separate mesh.

    Args:
        path: File to read.

    Returns:
        One pair (vertices, faces) per named object, with only the vertices that the faces use.

    Raises:
        InputError: If a vertex is not finite, or if `read_geometry` would raise an error.
    """
    check_file(path)
    with reading(path, "an OBJ file"):
        found = _obj(path)
        if not np.isfinite(found.vertices).all():
            raise InputError(f"{path} has a vertex that is not finite")
        firsts = [first for keyword, _, first in found.starts if keyword == "o"]
        bounds = np.searchsorted(found.split.polygon, [*firsts, np.iinfo(np.int64).max])
    objects = []
    for first, last in pairwise(bounds):
        used, corners = np.unique(found.split.faces[first:last], return_inverse=True)
        objects.append((found.vertices[used], corners.reshape(-1, 3)))
    return objects


def _obj(path: Path) -> _Obj:
    coordinates, corners, lengths = array("d"), array("q"), array("q")
    starts: list[tuple[str, str, int]] = []
    short = False
    with lines_of(path) as lines:
        for words in _continued(lines):
            keyword = words[0] if words else ""
            short = keyword == "f" and len(words) < 4  # a face without area, or cut off
            if keyword == "v":
                coordinates.extend((number(words[1]), number(words[2]), number(words[3])))
                check_count(path, len(coordinates) // 3, MAXIMUM_VERTICES, "vertices")
            elif keyword == "f":
                lengths.append(len(words) - 1)
                for word in words[1:]:
                    corner = int(word.partition("/")[0])
                    if corner == 0:
                        raise LineError("vertex numbers must start at 1, got 0")
                    # A negative number counts backwards from the latest vertex.
                    corners.append(corner - 1 if corner > 0 else len(coordinates) // 3 + corner)
                check_count(path, len(corners) - 2 * len(lengths), MAXIMUM_FACES, "faces")
            elif keyword in ("o", "g"):
                starts.append((keyword, " ".join(words[1:]), len(lengths)))
        if short and not read_bytes(path).endswith((b"\n", b"\r")):
            raise LineError("the file ends in the middle of a face")
    vertices = triples(coordinates)
    sizes, items = np.array(lengths, np.int64), np.array(corners, np.int64)
    split = triangulate(path, vertices, sizes, items)
    return _Obj(vertices, split, starts)


def _continued(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    """Join each line that ends in a backslash with the line after it."""
    for words in lines:
        # A backslash does not continue a comment.
        while words and words[-1].endswith("\\") and not words[0].startswith("#"):
            words = [*words[:-1], *words[-1][:-1].split(), *next(lines, [])]
        yield words

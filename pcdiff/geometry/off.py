"""Reader of OFF files, the format of ModelNet."""

from __future__ import annotations

import re
from array import array
from itertools import islice
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import MAXIMUM_FACES, MAXIMUM_VERTICES, check_count
from pcdiff.geometry.polygons import triangulate
from pcdiff.geometry.text import LineError, lines_of, number, triples


def read_off(path: Path) -> Geometry:
    """Read a mesh from an OFF file. For the errors, see `read_geometry`.

    The numbers of vertices and faces may be on the first line, even without a space after the word
    OFF (`OFF490 518 0`), as in some files of ModelNet.
    """
    coordinates, corners, lengths = array("d"), array("q"), array("q")
    with lines_of(path) as lines:
        # The character # starts a comment, and empty lines are allowed anywhere.
        rows = (kept for words in lines if (kept := " ".join(words).partition("#")[0].split()))
        first = next(rows, [])
        header = re.fullmatch(r"(?:ST|C|N)*OFF((?: ?\d+)*)", " ".join(first), re.IGNORECASE)
        if [word.upper() for word in first[1:2]] == ["BINARY"]:
            raise InputError(f"{path} is a binary OFF file, expected a text OFF file")
        if header is None:
            raise InputError(f"{path} is not an OFF file: the file does not start with OFF")
        counts = [int(word) for word in header[1].split() or next(rows, [])]
        vertex_count, face_count = counts[0], counts[1]
        check_count(path, vertex_count, MAXIMUM_VERTICES, "vertices")
        check_count(path, face_count, MAXIMUM_FACES, "faces")
        for row in islice(rows, vertex_count):
            coordinates.extend((number(row[0]), number(row[1]), number(row[2])))
        for row in islice(rows, face_count):
            polygon = [int(word) for word in row[1 : 1 + int(row[0])]]
            if len(polygon) != int(row[0]):
                raise LineError(f"expected {row[0]} corners, got {len(polygon)}")
            lengths.append(len(polygon))
            corners.extend(polygon)
    if len(coordinates) // 3 < vertex_count or len(lengths) < face_count:
        raise InputError(
            f"{path} is truncated: its header promises {vertex_count} vertices and {face_count} "
            f"faces, but the file has {len(coordinates) // 3} vertices and {len(lengths)} faces"
        )
    vertices = triples(coordinates)
    sizes, items = np.array(lengths, np.int64), np.array(corners, np.int64)
    split = triangulate(path, vertices, sizes, items)
    return Geometry(vertices, split.faces, remarks=split.remarks)

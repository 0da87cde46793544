"""Readers: odd but unambiguous files, and the arithmetic inside some formats."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from pcdiff.geometry.pcd import lzf_decompress
from pcdiff.geometry.reading import read_geometry
from tests.geometry.contents import (
    CLOUD,
    CORNERS,
    SIDES,
    TRIANGLES,
    lzf_compress,
    obj,
    off,
    ply,
    xyz,
)

STRIP_HEADER = """ply
format {} 1.0
element vertex 6
property float x
property float y
property float z
element tristrips {}
property list int int vertex_indices
end_header
"""
SIX = np.arange(18.0).reshape(6, 3)
STRIPS = [[0, 1, 2, 3, -1, 3, 4, 5], [5, 4, 2]]
STRIP_TRIANGLES = [[0, 1, 2], [3, 2, 1], [3, 4, 5], [5, 4, 2]]
"""By hand: the second triangle of a strip runs the other way around."""


def read(path, content: bytes):
    path.write_bytes(content)
    return read_geometry(path)


def test_triangle_strips_of_text_ply(tmp_path):
    rows = [" ".join(map(str, row)) for row in SIX.tolist()]
    rows += [" ".join(map(str, [len(strip), *strip])) for strip in STRIPS]
    content = STRIP_HEADER.format("ascii", 2) + "\n".join(rows)
    geometry = read(tmp_path / "a.ply", content.encode())
    assert geometry.faces.tolist() == STRIP_TRIANGLES
    assert np.array_equal(geometry.vertices, SIX)


@pytest.mark.parametrize(("encoding", "order"), [("little", "<"), ("big", ">")])
def test_triangle_strips_of_binary_ply(tmp_path, encoding, order):
    body = SIX.astype(f"{order}f4").tobytes()
    for strip in STRIPS:
        body += struct.pack(f"{order}{1 + len(strip)}i", len(strip), *strip)
    header = STRIP_HEADER.format(f"binary_{encoding}_endian", 2)
    geometry = read(tmp_path / "a.ply", header.encode() + body)
    assert geometry.faces.tolist() == STRIP_TRIANGLES


def test_ply_without_strips_is_a_cloud(tmp_path):
    header = STRIP_HEADER.format("binary_little_endian", 0)
    geometry = read(tmp_path / "a.ply", header.encode() + SIX.astype("<f4").tobytes())
    assert geometry.faces is None
    assert np.array_equal(geometry.vertices, SIX)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("char", "b"), ("ushort", "H"), ("int64", "q"), ("uint64", "Q"), ("float16", "e")],
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("length_kind", "length"), [("uchar", "B"), ("float", "f")])
def test_ply_with_lists_of_any_type(tmp_path, kind, code, length_kind, length, order):
    """The lists have different lengths, so that they are read row by row."""
    polygons = [[0, 1, 2], [5, 4], [0, 1, 2, 3]]
    encoding = {"<": "little", ">": "big"}[order]
    header = STRIP_HEADER.format(f"binary_{encoding}_endian", 3).replace("tristrips", "face")
    body = SIX.astype(f"{order}f4").tobytes()
    for polygon in polygons:
        body += struct.pack(f"{order}{length}{len(polygon)}{code}", len(polygon), *polygon)
    header = header.replace("list int int", f"list {length_kind} {kind}")
    geometry = read(tmp_path / "a.ply", header.encode() + body)
    assert geometry.faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3]]


def test_obj_lines_that_go_on_after_a_backslash(tmp_path):
    plain = obj(faces=SIDES)
    first, second, third = b"f 1 2 4 3", b"f 5 7 8 6", b"f 1 5 6 2"
    assert all(line in plain for line in (first, second, third))
    broken = plain.replace(first, b"f 1 \\\n2 4 3").replace(second, b"f 5 7 8\\\n 6")
    broken = broken.replace(third, b"f \\\n1 5 \\\r\n6 2")
    broken = b"# a comment does not go on \\\n" + broken
    expected, geometry = read(tmp_path / "a.obj", plain), read(tmp_path / "b.obj", broken)
    assert np.array_equal(geometry.vertices, CORNERS)
    assert np.array_equal(geometry.faces, expected.faces) and len(geometry.faces) == 12


@pytest.mark.parametrize("ending", ["obj", "off", "ply"])
def test_faces_without_area_are_left_out(tmp_path, ending):
    writer = {"obj": obj, "off": off, "ply": ply}[ending]
    geometry = read(tmp_path / f"a.{ending}", writer(faces=[(0, 1), *SIDES, (5,)]))
    assert geometry.faces.tolist() == TRIANGLES.tolist()


@pytest.mark.parametrize("keyword", ["off", "COFF", "noff"])
def test_off_keywords(tmp_path, keyword):
    geometry = read(tmp_path / "a.off", off(faces=SIDES, header=keyword + "\n{} {} 0"))
    assert np.array_equal(geometry.vertices, CORNERS)
    assert geometry.faces.tolist() == TRIANGLES.tolist()


@pytest.mark.parametrize("columns", [3, 4, 6, 9])
def test_xyz_has_normals_only_in_six_columns(tmp_path, columns):
    normals = CLOUD / np.linalg.norm(CLOUD, axis=1, keepdims=True)
    table = np.hstack([CLOUD, normals, CLOUD])[:, :columns]
    geometry = read(tmp_path / "a.xyz", xyz(table))
    assert np.array_equal(geometry.vertices, CLOUD)
    if columns == 6:
        assert np.array_equal(geometry.normals, normals)
    else:
        assert geometry.normals is None


def test_lzf_copies_that_overlap_their_own_output():
    assert lzf_decompress(bytes([0, 97, 0b111_00000, 10, 0]), 20) == b"a" * 20
    assert lzf_decompress(bytes([1, 97, 98, 0b010_00000, 1]), 6) == b"ababab"
    plain = b"grasp " * 200 + bytes(range(256)) + b"grasp"
    assert lzf_decompress(lzf_compress(plain), len(plain)) == plain
    with pytest.raises(ValueError, match="before the start of the result"):
        lzf_decompress(bytes([0, 97, 0b010_00000, 1]), 5)

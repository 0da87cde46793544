"""Files with odd parts: the sound part is read, and a remark counts what was left out."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from pcdiff.errors import InputError
from pcdiff.geometry.reading import read_geometry
from tests.geometry.contents import (
    CLOUD,
    CORNERS,
    NAN,
    SIDES,
    TRIANGLES,
    ascii_stl,
    glb,
    npy,
    obj,
    off,
    pcd,
    ply,
    stl,
)

TEXT = ascii_stl().decode()


def read(path, content: bytes):
    path.write_bytes(content)
    return read_geometry(path)


# Each case: the content of an STL file of the cube, and the remark.
STL = {
    "capitals": (TEXT.upper(), ()),
    "mixed case": (TEXT.title(), ()),
    "byte order mark": ("\ufeff" + TEXT, ()),
    "comments": ("# exported by hand\n; on a Monday\n" * 9 + TEXT, ()),
    "end solid": (TEXT.replace("endsolid", "end solid"), ()),
    "end without a name": (TEXT.replace("endsolid cube", "ENDSOLID"), ()),
    "two solids": (TEXT.replace("endfacet", "endfacet\nendsolid\nsolid b", 1), ()),
    "tabs and Windows line ends": (TEXT.replace(" ", "\t ").replace("\n", "\r\n"), ()),
    "a facet of two corners": (
        TEXT.replace("facet", "facet normal 0 0 0\nvertex 0 0 0\nvertex 1 0 0\nendfacet\nfacet", 1),
        ("left out 1 of 13 faces: fewer than 3 corners",),
    ),
    "bytes after the triangles": (
        stl(header=b"exported by x") + b"made by hand 2024",
        ("ignored 17 bytes after the last triangle",),
    ),
    "solid and bytes after": (
        stl(header=b"solid of x".ljust(80)) + b"\n",
        ("ignored 1 bytes after the last triangle",),
    ),
}


@pytest.mark.parametrize("case", STL)
def test_odd_stl_is_the_cube(case, tmp_path):
    content, remarks = STL[case]
    path = tmp_path / "a.stl"
    geometry = read(path, content if isinstance(content, bytes) else content.encode())
    assert np.array_equal(geometry.vertices[geometry.faces], CORNERS[TRIANGLES])
    assert geometry.remarks == tuple(f"{path}: {remark}" for remark in remarks)


def test_stl_with_a_wrong_count_is_damaged(tmp_path):
    with pytest.raises(InputError, match=r"is damaged .* promises 3 triangles, .* has 684 bytes"):
        read(tmp_path / "a.stl", stl(count=3))


@pytest.mark.parametrize("writer", [obj, off, ply])
def test_faces_of_two_corners_are_counted(writer, tmp_path):
    path = tmp_path / f"a.{writer.__name__}"
    geometry = read(path, writer(faces=[*SIDES[:3], (0, 1), *SIDES[3:], (5,)]))
    assert np.array_equal(geometry.faces, TRIANGLES)
    assert geometry.remarks == (f"{path}: left out 2 of 8 faces: fewer than 3 corners",)


USED = (TRIANGLES == 2).any(axis=1)
"""The triangles with the corner that is not finite in `NAN`."""


@pytest.mark.parametrize("name", ["a.obj", "a.off", "a.ply", "a.glb", "a.stl", "b.stl"])
def test_faces_with_a_corner_that_is_not_finite_are_counted(name, tmp_path):
    path = tmp_path / name
    writers = {"a.obj": obj, "a.off": off, "a.ply": ply, "a.glb": glb, "a.stl": stl}
    geometry = read(path, {**writers, "b.stl": ascii_stl}[name](NAN))
    expected = CORNERS[TRIANGLES[~USED]]
    assert np.array_equal(geometry.vertices[geometry.faces], expected)
    assert np.isfinite(geometry.vertices).all()
    bad, every = (USED.sum(), 36) if "stl" in name else (1, 8)
    assert geometry.remarks == (
        f"{path}: left out {USED.sum()} of 12 faces: a corner is not finite",
        f"{path}: left out {bad} of {every} vertices: not finite",
    )


def test_a_polygon_with_a_corner_that_is_not_finite_is_left_out_whole(tmp_path):
    geometry = read(tmp_path / "a.obj", obj(NAN, SIDES))
    sides = [side for side in SIDES if 2 not in side]
    assert len(geometry.faces) == 2 * len(sides)
    assert f"left out {6 - len(sides)} of 6 faces" in geometry.remarks[0]


@pytest.mark.parametrize("writer", [obj, off, ply])
def test_a_vertex_without_a_face_may_be_not_finite(writer, tmp_path):
    path = tmp_path / f"a.{writer.__name__}"
    geometry = read(path, writer(np.vstack([[np.nan, 0, np.inf], CORNERS]), TRIANGLES + 1))
    assert np.array_equal(geometry.vertices, CORNERS)
    assert np.array_equal(geometry.faces, TRIANGLES)
    assert geometry.remarks == (f"{path}: left out 1 of 9 vertices: not finite",)


@pytest.mark.parametrize("name", ["text.pcd", "binary.pcd", "a.ply", "a.npy"])
def test_points_that_are_not_finite_are_counted(name, tmp_path):
    points = np.insert(CLOUD, [0, 50, 100], [np.nan, 1, np.inf], axis=0).astype(np.float32)
    points = points.astype(np.float64)  # as the binary formats hold them
    points[51, 2] = np.nan
    content = {
        "text.pcd": pcd(points),
        "binary.pcd": pcd(points, "binary"),
        "a.ply": ply(points, []),
        "a.npy": npy(points),
    }[name]
    geometry = read(tmp_path / name, content)
    assert np.array_equal(geometry.vertices, CLOUD.astype(np.float32))
    assert geometry.remarks == (f"{tmp_path / name}: left out 3 of 103 points: not finite",)


@pytest.mark.parametrize("missing", [3, 60])
def test_missing_normals_of_ply(missing, tmp_path):
    """A few points without a normal are left out; if most have none, the normals are."""
    header = ply(CLOUD, []).split(b"end_header\n")[0].replace(b"element face 0\n", b"")
    header = header.replace(b"property list uchar int vertex_indices\n", b"")
    header += b"".join(b"property float n%c\n" % axis for axis in b"xyz") + b"end_header\n"
    normals = np.tile([0.0, 0, 1], (100, 1))
    normals[:missing] = np.nan
    rows = [" ".join(map(repr, row)) for row in np.hstack([CLOUD, normals]).tolist()]
    geometry = read(tmp_path / "a.ply", header + "\n".join(rows).encode())
    kept = missing if missing == 3 else 0
    assert np.array_equal(geometry.vertices, CLOUD[kept:])
    assert (geometry.normals is None) == (missing == 60)
    assert "normal" in geometry.remarks[0]


QUAD = "1 0 0\n0 1 0\n0 0 1\n"
PLY = "ply\nformat {} 1.0\nelement vertex 3\n{}element face 1\n{}end_header\n"
XYZ = "property float x\nproperty float y\nproperty float z\n"
LIST = "property list uchar int vertex_indices\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PLY.format("ascii", XYZ + "property int x\n", LIST), "vertex already has a property x"),
        (PLY.format("ascii", XYZ, LIST + LIST), "already has a property vertex_indices"),
        (PLY.format("ascii", "property list int x\n", LIST), "'property list int x', but the line"),
        (PLY.format("ascii", "property quad x\n", LIST), "there is no type quad"),
        (PLY.format("ascii", XYZ, LIST) + QUAD + "-3 0 1 2", "a list has the length -3"),
        (PLY.format("ascii", XYZ, LIST) + QUAD + "nan 0 1 2", "a list has the length nan"),
        (PLY.format("ascii", XYZ, LIST) + QUAD + "3 0 1 b", "b"),
        (PLY.format("ascii", XYZ, LIST) + QUAD + "3 0 1 1.5", "not a whole number"),
        (PLY.format("ascii", XYZ, LIST) + QUAD + "3 0 1 inf", "not a whole number"),
        (PLY.format("gzip", XYZ, LIST), "got the encoding 'gzip'"),
        ("ply\nproperty float x\nend_header\n", "'property float x', but it cannot be read"),
    ],
)
def test_a_damaged_ply_is_one_sentence(content, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path / "a.ply", content.encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [np.nan, np.inf, -1.0, 2.5, 1e30])
def test_a_ragged_list_of_an_absurd_length(count, tmp_path):
    header = PLY.format("binary_little_endian", XYZ, "property list float int vertex_indices\n")
    header = header.replace("face 1", "face 2")
    body = struct.pack("<9f", *range(9)) + struct.pack("<f3i", 3, 0, 1, 2)
    with pytest.raises(InputError, match=r"a\.ply is (a damaged PLY file|truncated)"):
        read(tmp_path / "a.ply", header.encode() + body + struct.pack("<f4i", count, 0, 1, 2, 0))


# Each case: the name, the content, and words of the message.
OTHER_KINDS = {
    "a picture": ("a.stl", b"\x89PNG\r\n\x1a\n" + bytes(99), "is a PNG picture, expected an STL"),
    "a JPEG": ("a.npy", b"\xff\xd8\xff\xe0" + bytes(99), "is a JPEG picture, expected a .npy file"),
    "a zip": ("a.ply", b"PK\x03\x04" + bytes(99), "is a zip archive, expected a PLY file"),
    "a gzip": ("a.ply", b"\x1f\x8b\x08" + bytes(99), "is a gzip archive"),
    "a pickle": ("a.npy", b"\x80\x04\x95" + bytes(99), "is a pickle of Python"),
    "a PLY": ("a.xyz", ply(), "is a PLY file, expected text with one point per line"),
    "a web page": ("a.obj", b"<!doctype html><title>404", "is a web page"),
    "an LFS pointer": ("a.obj", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "a STEP file": ("a.obj", b"ISO-10303-21;\nHEADER;", "is a STEP file"),
    "HDF5": ("a.glb", b"\x89HDF\r\n\x1a\n" + bytes(99), "is an HDF5 file, expected a glb file"),
    "a binary OFF": ("a.off", b"OFF BINARY\n" + bytes(99), "is a binary OFF file"),
}


@pytest.mark.parametrize("case", OTHER_KINDS)
def test_a_file_of_another_kind_is_named(case, tmp_path):
    name, content, words = OTHER_KINDS[case]
    with pytest.raises(InputError, match=words):
        read(tmp_path / name, content)


def header(text: str, body: bytes = bytes(96)) -> bytes:
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + body


SHAPE = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header(SHAPE.format("<f4", f"(1{30 * '0'}, 3)")), "is truncated: its header promises 12"),
        (header(SHAPE.format("<f4", "(True, 3)")), r"whole numbers of at least 0, got \(True, 3\)"),
        (header(SHAPE.format("<f4", "(-1, 3)")), r"whole numbers of at least 0, got \(-1, 3\)"),
        (header(SHAPE.format("|O", "(8, 3)")), "holds pickled Python objects"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3"), "header of .* damaged"),
        (header("{'descr': [[]]}"), "header of .* cut off or damaged: ValueError"),
        (b"\x93NUMPY\x01", "header of .* cut off or damaged"),
        (b"a letter, not an array", "is not a .npy file"),
    ],
)
def test_a_damaged_npy_is_one_sentence(content, words, tmp_path):
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path / "a.npy", content)
    assert "\n" not in str(caught.value)


def test_an_error_of_a_library_is_named_with_its_cause(tmp_path):
    """The second row of the transform is missing, which trimesh finds out by an error of NumPy."""
    path = tmp_path / "a.glb"
    with pytest.raises(
        InputError, match=r"a\.glb is damaged or has no scene \(\w+Error: "
    ) as caught:
        read(path, glb(nodes=[{"mesh": 0, "matrix": [1, 0, 0]}]))
    assert caught.value.__cause__ is not None

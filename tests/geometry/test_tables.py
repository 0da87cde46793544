"""Tables of points: separators, headers, and what the columns mean."""

from __future__ import annotations

import numpy as np
import pytest

from pcdiff.errors import InputError
from pcdiff.geometry.reading import read_geometry
from tests.geometry.contents import npy

RNG = np.random.default_rng(3)
POINTS = RNG.integers(-999, 999, (40, 3)) / 1000
NORMALS = RNG.normal(size=(40, 3))
NORMALS = np.round(NORMALS / np.linalg.norm(NORMALS, axis=1, keepdims=True), 4)
COLOURS = RNG.integers(0, 256, (40, 3))
ONE = np.ones((40, 1))


def table(*columns, separator=" ", first="", comma=False) -> str:
    rows = [
        separator.join(f"{x:.10g}" for x in row) for row in np.hstack([POINTS, *columns]).tolist()
    ]
    text = "\n".join(rows)
    return first + (text.replace(".", ",") if comma else text) + "\n"


def read(path, text: str, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return read_geometry(path)


# Each case: the text of the file.
PLAIN = {
    "spaces": table(),
    "tabs": table(separator="\t"),
    "commas": table(separator=","),
    "commas and spaces": table(separator=" , "),
    "semicolons": table(separator=";"),
    "a comma at the end of each row": table(separator=",").replace("\n", ",\n"),
    "header in a comment": table(first="//X Y Z\n"),
    "header": table(first="x y z\n"),
    "header in quotes": table(separator=",", first='"X [m]","Y [m]","Z [m]"\n'),
    "header of ParaView": table(separator=",", first='"Points:0","Points:1","Points:2"\n'),
    "comments": table(first="# a scan\n% of a mug\n\n"),
    "number of points": table(first="40\n"),
    "blocks": "40\n" + table() + "0\n",
    "Windows line ends": table().replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + table(first="x,y,z\n"),
}


@pytest.mark.parametrize("ending", ["xyz", "txt", "pts", "csv", "asc"])
@pytest.mark.parametrize("case", PLAIN)
def test_plain_points(case, ending, tmp_path):
    geometry = read(tmp_path / f"a.{ending}", PLAIN[case])
    assert np.array_equal(geometry.vertices, POINTS)
    assert geometry.normals is None and geometry.faces is None
    assert geometry.remarks == ()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_byte_order_marks(encoding, tmp_path):
    assert np.array_equal(read(tmp_path / "a.txt", table(), encoding).vertices, POINTS)


def test_header_that_reorders_the_columns(tmp_path):
    rows = "\n".join(f"{z!r} 7 {x!r} {y!r}" for x, y, z in POINTS.tolist())
    geometry = read(tmp_path / "a.txt", "Z intensity X Y\n" + rows)
    assert np.array_equal(geometry.vertices, POINTS)
    assert geometry.remarks == (
        f"{tmp_path}/a.txt: the first line names the columns x y z; intensity ignored",
    )


# Each case: the text of the file, whether it has normals, and the end of the remark.
COLUMNS = {
    "intensity": (table(ONE * 12), False, "ignored column 4, such as intensity or colour"),
    "colours of 0 to 255": (table(COLOURS), False, "which are no normals: they have lengths"),
    "colours of 0 to 1": (table(COLOURS / 255), False, "instead of 1"),
    "uniform red": (table(ONE, 0 * ONE, 0 * ONE), False, "in every row, like one colour"),
    "uniform grey of length 1": (table(np.full((40, 3), 3**-0.5)), False, "like one colour"),
    "pure colours": (table(np.eye(3)[np.arange(40) % 3]), False, "like pure colours"),
    "black": (table(np.zeros((40, 3))), False, "most rows are zero or not finite"),
    "Leica": (table(ONE * -900, COLOURS, first="40\n"), False, "ignored columns 4 to 7"),
    "normals": (table(NORMALS), True, "columns 4 to 6 as normals"),
    "normals named": (table(NORMALS, first="x y z nx ny nz\n"), True, "x y z nx ny nz"),
    "colours before named normals": (
        table(COLOURS, NORMALS, separator=",", first="X,Y,Z,R,G,B,Nx,Ny,Nz\n"),
        True,
        "x y z nx ny nz; r, g, b ignored",
    ),
    "colours named": (table(COLOURS, first="# x y z red green blue\n"), False, "red, green, blue"),
    "first names only": (table(ONE, first="//X Y Z\n"), False, "ignored column 4"),
    "decimal commas": (table(separator=";", comma=True), False, "read commas as decimal points"),
    "decimal commas and spaces": (table(comma=True), False, "read commas as decimal points"),
    "a title": (table(first="points of the mug\n"), False, "'points of the mug', which names no"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_remark_says_how_columns_were_read(case, tmp_path):
    text, normals, words = COLUMNS[case]
    path = tmp_path / "a.txt"
    geometry = read(path, text)
    assert np.array_equal(geometry.vertices, POINTS)
    if normals:
        assert np.array_equal(geometry.normals, NORMALS)
    else:
        assert geometry.normals is None
    (remark,) = geometry.remarks
    assert remark.startswith(f"{path}: ") and words in remark and "\n" not in remark


@pytest.mark.parametrize(("extra", "words"), [(NORMALS, "as normals"), (COLOURS, "no normals")])
def test_columns_of_npy_are_understood_in_the_same_way(extra, words, tmp_path):
    (tmp_path / "a.npy").write_bytes(npy(np.hstack([POINTS, extra])))
    geometry = read_geometry(tmp_path / "a.npy")
    assert np.array_equal(geometry.vertices, POINTS)
    assert (geometry.normals is None) == (extra is COLOURS)
    assert words in geometry.remarks[0]


def test_a_missing_number_leaves_out_its_point(tmp_path):
    lines = table(separator=",").splitlines()
    lines[3], lines[7], lines[9] = "0.1,,0.2", ",0.1,0.2", "0.1, -nan(ind), 1.#QNAN"
    geometry = read(tmp_path / "a.csv", "\n".join(lines))
    assert np.array_equal(geometry.vertices, np.delete(POINTS, [3, 7, 9], axis=0))
    assert geometry.remarks == (f"{tmp_path}/a.csv: left out 3 of 40 points: not finite",)


def test_a_point_without_its_normal_is_left_out(tmp_path):
    normals = NORMALS.copy()
    normals[[2, 5]] = [[0, 0, 0], [np.nan, 0, 1]]
    geometry = read(tmp_path / "a.xyz", table(normals))
    assert np.array_equal(geometry.vertices, np.delete(POINTS, [2, 5], axis=0))
    assert np.array_equal(geometry.normals, np.delete(NORMALS, [2, 5], axis=0))
    assert "left out 2 of 40 points: the normal is missing" in geometry.remarks[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (table(first="lat lon intensity\n"), "no columns x, y and z: .* lat, lon, intensity"),
        (table(first="41\n"), "promises 41 points, but 40 points follow"),
        (table(first="39\n"), "promises 39 points, but 40 points follow"),
        (table() + "1 2 3 red\n", "line 41, '1 2 3 red'"),
        (table() + "end\n", "line 41, 'end': expected only numbers"),
        (table() + "1 2,5 3\n", "expected 3 numbers as in the first row, got 4"),
        ("a letter\nwithout numbers\n", "no points, .* first line is 'a letter'"),
        ("-3\n" + table(), "line 1, '-3'"),
    ],
)
def test_tables_that_cannot_be_understood(text, words, tmp_path):
    with pytest.raises(InputError, match=words):
        read(tmp_path / "a.txt", text)

"""Readers of tables of points: text with one point per line, and .npy arrays."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.arrays import read_npy
from pcdiff.geometry.columns import POSITION, chosen_columns, column_names, understood
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import MAXIMUM_POINTS, check_count
from pcdiff.geometry.text import LineError, lines_of, number

MAXIMUM_HEADER = 20
"""Largest number of lines without numbers before the first point."""


MAXIMUM_COLUMNS = 10
"""Largest number of columns in a .npy array; more columns are probably a transposed array."""


_COMMENT = re.compile(r"#|//|%")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?(e[+-]?\d+)?", re.IGNORECASE)


class _Rows:
    """The numbers of the points, as they are read, and what the lines before the points say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = array("d")
        self.width, self.rows = 0, 0
        self.names: tuple[str, ...] | None = None
        self.first_line: str | None = None
        self.columns: list[int] = []
        self.promised: int | None = None  # number of points up to the end of the current block

    def header(self, line: str) -> None:
        """Take a line without numbers, which may name the columns."""
        if self.rows or _starts_with_point(line):
            raise LineError("expected only numbers")
        self.first_line = self.first_line or line
        self.names = column_names(line) or self.names

    def comment(self, line: str) -> None:
        """Take a comment, which names the columns only if it names x, y and z."""
        names = column_names(line)
        if not self.rows and names is not None and set(POSITION) <= set(names):
            self.names = names

    def count(self, number: float) -> None:
        """Take a line with a single number: the number of points that follow, as in .pts files."""
        self.check_block()
        if number != int(number) or number < 0:
            raise LineError("expected at least 3 numbers, got 1")
        check_count(self.path, self.rows + int(number), MAXIMUM_POINTS, "points")
        self.promised = self.rows + int(number)

    def check_block(self) -> None:
        """Check that a block has as many points as its first line states."""
        if self.promised is not None and self.rows != self.promised:
            raise InputError(
                f"{self.path} is truncated or damaged: a line with a single number promises "
                f"{self.promised} points, but {self.rows} points follow"
            )

    def point(self, numbers: list[float]) -> None:
        """Take the numbers of one point."""
        if len(numbers) < 3:
            raise LineError(f"expected at least 3 numbers, got {len(numbers)}")
        if not self.width:
            self._begin(len(numbers))
        if len(numbers) != self.width:
            raise LineError(
                f"expected {self.width} numbers as in the first row, got {len(numbers)}"
            )
        self.values.extend([numbers[column] for column in self.columns])
        self.rows += 1
        check_count(self.path, self.rows, MAXIMUM_POINTS, "points")

    def _begin(self, width: int) -> None:
        self.width = width
        if self.names is not None and not set(POSITION) <= set(self.names):
            raise InputError(
                f"{self.path} has no columns x, y and z: its first line names the columns "
                f"{', '.join(self.names)}"
            )
        # A line that names fewer columns than there are still states the order of the first three.
        if self.names is not None and len(self.names) != width:
            if self.names[:3] != POSITION:
                raise LineError(f"expected {len(self.names)} numbers as named above, got {width}")
            self.names = None
        self.columns = chosen_columns(width, self.names)


def read_xyz(path: Path) -> Geometry:
    """Read a cloud from a text file with one point per line. For the errors, see `read_geometry`.

    - Numbers are separated by spaces, tabs, commas or semicolons; numbers may have decimal commas
      if another separator separates them.
    - A line before the points may name the columns (`x y z intensity`), also in a comment after
      `#`, `//` or `%`. `pcdiff.geometry.columns` describes how unnamed columns are understood.
    - A line with a single number states how many points follow, as in the .pts files of Leica.
    """
    rows, split = _Rows(path), None
    with lines_of(path) as lines:
        before = 0
        for words in lines:
            line = " ".join(words)
            comment = _COMMENT.search(line)
            if comment is not None:
                rows.comment(line[comment.end() :])
                line = line[: comment.start()]
            if not line.strip(" ,;"):
                continue
            split = split or _splitter(line)
            try:
                numbers = [number(word) for word in split(line)]
            except ValueError:
                rows.header(line)
                before, split = before + 1, None
                if before > MAXIMUM_HEADER:
                    raise LineError("expected a point with the numbers x, y and z") from None
                continue
            if len(numbers) == 1 and (not rows.width or rows.promised is not None):
                rows.count(numbers[0])
                split = split if rows.width else None
            else:
                rows.point(numbers)
    rows.check_block()
    if not rows.rows:
        found = f": its first line is {rows.first_line[:40]!r}" if rows.first_line else ""
        raise InputError(f"{path} has no points, expected lines with the numbers x, y and z{found}")
    table = np.array(rows.values).reshape(rows.rows, -1)
    points, normals, remarks = understood(table, rows.width, rows.names)
    if rows.first_line is not None and rows.names is None:
        remarks += (
            f"ignored the first line {rows.first_line[:40]!r}, which names no known columns",
        )
    if split is _decimal_commas:
        remarks += ("read commas as decimal points",)
    return Geometry(points, None, normals, remarks=remarks)


def read_npy_points(path: Path) -> Geometry:
    """Read a cloud from a .npy array with one point per row. For the errors, see `read_geometry`.

    `pcdiff.geometry.columns` describes how more than three columns are understood.
    """
    table = read_npy(path)
    shape = table.shape
    if len(shape) != 2 or not 3 <= shape[1] <= MAXIMUM_COLUMNS or table.dtype.kind not in "fiu":
        raise InputError(
            f"{path} must contain numbers of shape (n, 3), or (n, 6) with normals, "
            f"got {table.dtype} of shape {shape}"
        )
    check_count(path, len(table), MAXIMUM_POINTS, "points")
    kept = np.array(table[:, chosen_columns(shape[1], None)], np.float64)
    points, normals, remarks = understood(kept, shape[1], None)
    return Geometry(points, None, normals, remarks=remarks)


def _starts_with_point(line: str) -> bool:
    """Check whether a line starts with three numbers, so that it is no header."""
    try:
        return len([number(word) for word in _words(line)[:3]]) == 3
    except ValueError:
        return False


def _splitter(line: str) -> Callable[[str], list[str]]:
    """Choose the separators of a file by its first row of numbers."""
    words = line.replace(";", " ").split()
    commas = "," in line and "." not in line
    if commas and (";" in line or len(words) > 2) and all(map(_DECIMAL_COMMA.fullmatch, words)):
        return _decimal_commas
    return _words


def _decimal_commas(line: str) -> list[str]:
    return line.replace(";", " ").replace(",", ".").split()


def _words(line: str) -> list[str]:
    """Split at spaces, commas and semicolons; nothing between two commas is a missing number."""
    if "," not in line and ";" not in line:
        return line.split()
    line = re.sub(r"(?:^|[,;])\s*(?=[,;])", ", nan ", line.rstrip(" ,;"))
    return re.sub("[,;]", " ", line).split()

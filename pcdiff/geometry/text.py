"""Helper functions for text formats, which split lines into words and polygons into triangles."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.limits import MAXIMUM_FACES, check_count, file_errors


class LineError(ValueError):
    """An error in a line of a text file; `lines_of` adds the file name and the line number."""


@contextlib.contextmanager
def lines_of(path: Path) -> Iterator[Iterator[list[str]]]:
    """Open a text file as an iterator that yields the words of each line.

    Raises:
        InputError: If the file cannot be read, or if the `with` block raises `ValueError`,
            `IndexError` or `OverflowError`. For an error in the block, the message names the
            current line.
    """
    number, text = 0, ""

    def words(file: TextIO) -> Iterator[list[str]]:
        nonlocal number, text
        for text in file:
            number += 1
            yield text.split()

    try:
        with file_errors(path), path.open(encoding="utf-8", errors="replace") as file:
            yield words(file)
    except InputError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        line = text.strip()
        shown = repr(line if len(line) <= 40 else line[:40] + "…")
        # Python's messages describe Python functions, so only messages of `LineError` are shown.
        reason = f": {error}" if isinstance(error, LineError) else ""
        raise InputError(f"{path} is damaged in line {number}, {shown}{reason}") from error


def add_polygon(corners: array[int], polygon: list[int], path: Path) -> None:
    """Append a polygon to a flat list of corners, as a fan of triangles.

    A polygon with fewer than 3 corners has no area and adds no triangle.
    """
    for second, third in pairwise(polygon[1:]):
        corners.extend((polygon[0], second, third))
    check_count(path, len(corners) // 3, MAXIMUM_FACES, "faces")


def triples(numbers: array[float] | array[int]) -> np.ndarray:
    """Return the numbers as an array of shape (n, 3), in float64 or int64."""
    return np.array(numbers, np.int64 if numbers.typecode == "q" else np.float64).reshape(-1, 3)

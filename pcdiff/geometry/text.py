"""Files of text, line by line, and the polygons in them."""

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


@contextlib.contextmanager
def lines_of(path: Path) -> Iterator[Iterator[list[str]]]:
    """The words of each line of a text; an error in the body names the line that it met."""
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
        raise InputError(f"{path} is damaged in line {number}, {shown}") from error


def add_polygon(corners: array[int], polygon: list[int], path: Path) -> None:
    """Append a polygon as a fan of triangles."""
    if len(polygon) < 3:
        raise ValueError("a face needs three corners")
    for second, third in pairwise(polygon[1:]):
        corners.extend((polygon[0], second, third))
    check_count(path, len(corners) // 3, MAXIMUM_FACES, "faces")


def triples(numbers: array[float] | array[int]) -> np.ndarray:
    """The numbers as rows of three."""
    return np.array(numbers, np.int64 if numbers.typecode == "q" else np.float64).reshape(-1, 3)

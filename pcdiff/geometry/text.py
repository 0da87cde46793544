"""Helper functions for text formats: lines, words and numbers."""

from __future__ import annotations

import codecs
import contextlib
import math
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, AnyStr, TextIO

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.limits import file_errors

# What C libraries write for a number that is not finite, besides nan and inf.
_NOT_FINITE = re.compile(r"[+-]?(nan(\(\w*\))?|1\.#\w+)", re.IGNORECASE)


LONGEST_LINE = 2**20
"""Largest accepted number of characters in a line, enough for a polygon of 100,000 corners."""


class LineError(ValueError):
    """An error in a line of a text file; `lines_of` adds the file name and the line number."""


@contextlib.contextmanager
def lines_of(path: Path) -> Iterator[Iterator[list[str]]]:
    """Open a text file as an iterator that yields the words of each line.

    A byte order mark at the start of the file states the encoding; without it, the text is UTF-8.

    Raises:
        InputError: If the file cannot be read, or if the `with` block raises `ValueError`,
            `IndexError` or `OverflowError`. For an error in the block, the message names the
            current line.
    """
    number, text = 0, ""

    def words(file: TextIO) -> Iterator[list[str]]:
        nonlocal number, text
        for text in short_lines(file):
            number += 1
            yield text.split()

    try:
        with file_errors(path), path.open("rb") as binary:
            start = binary.read(2)
        wide = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = "utf-16" if wide else "utf-8-sig"
        with file_errors(path), path.open(encoding=encoding, errors="replace") as file:
            yield words(file)
    except InputError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        line = text.strip()
        shown = repr(line if len(line) <= 40 else line[:40] + "…")
        # Python's messages describe Python functions, so only messages of `LineError` are shown.
        reason = f": {error}" if isinstance(error, LineError) else ""
        raise InputError(f"{path} is damaged in line {number}, {shown}{reason}") from error


def short_lines(file: IO[AnyStr]) -> Iterator[AnyStr]:
    """Yield the lines of a file, none of which may be longer than `LONGEST_LINE`.

    A line is split into words, which take thirty times as much memory as the line.

    Args:
        file: File to read, of text or of bytes.

    Raises:
        LineError: If a line is longer.
    """
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise LineError(f"a line must have at most {LONGEST_LINE} characters")
        yield line


def number(word: str) -> float:
    """Convert a word to a number; every spelling of "not a number" gives NaN.

    Raises:
        ValueError: If the word is not a number.
    """
    try:
        return float(word)
    except ValueError:
        if _NOT_FINITE.fullmatch(word):
            return math.nan
        raise


def triples(numbers: array[float] | array[int]) -> np.ndarray:
    """Return the numbers as an array of shape (n, 3), in float64 or int64."""
    return np.array(numbers, np.int64 if numbers.typecode == "q" else np.float64).reshape(-1, 3)

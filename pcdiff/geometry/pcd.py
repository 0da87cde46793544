"""Reader of PCD files, the format of the Point Cloud Library."""

from __future__ import annotations

import struct
from array import array
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import MAXIMUM_BYTES, MAXIMUM_POINTS, check_count, file_errors
from pcdiff.geometry.text import number, short_lines

POSITION = ("x", "y", "z")
NORMAL = ("normal_x", "normal_y", "normal_z")


def read_pcd(path: Path) -> Geometry:
    """Read a cloud from a PCD file of version 0.7. For the errors, see `read_geometry`.

    Points that are not finite belong to pixels without a measurement. The entry VIEWPOINT states
    the position of the camera unless it is the origin, which programs also write if they do not
    know the position.
    """
    with file_errors(path), path.open("rb") as file:
        header = _pcd_header(path, file)
        fields = header["FIELDS"]
        if not set(POSITION) <= set(fields):
            raise InputError(f"{path} has no fields x, y and z, only {', '.join(fields)}")
        sizes, kinds = header["SIZE"], header["TYPE"]
        counts = [int(count) for count in header.get("COUNT", ["1"] * len(fields))]
        if not len(fields) == len(sizes) == len(kinds) == len(counts):
            raise InputError(
                f"{path} is a damaged PCD file: FIELDS, SIZE, TYPE and COUNT have different lengths"
            )
        if "POINTS" in header:
            points = int(header["POINTS"][0])
        else:
            points = int(header["WIDTH"][0]) * int(header.get("HEIGHT", ["1"])[0])
        if points < 0:
            raise InputError(f"{path} is a damaged PCD file: it promises {points} points")
        check_count(path, points, MAXIMUM_POINTS, "points")
        row = np.dtype(
            [
                (str(index), f"<{kind.lower()}{int(size)}", (count,))
                for index, (kind, size, count) in enumerate(zip(kinds, sizes, counts, strict=True))
            ]
        )
        wanted = [*POSITION, *(NORMAL if set(NORMAL) <= set(fields) else ())]
        columns = [fields.index(name) for name in wanted]
        encoding = header["DATA"][0].lower()
        if encoding == "ascii":
            starts = np.cumsum(counts) - counts
            table = _pcd_text(path, file, points, sum(counts), [int(starts[i]) for i in columns])
        else:
            records = _pcd_table(path, file, encoding, row, points)
            table = np.stack([records[str(i)][:, 0] for i in columns], axis=1).astype(np.float64)
    if len(table) < points:
        raise InputError(
            f"{path} is truncated: its header promises {points} points, got {len(table)} points"
        )
    viewpoint = np.array([float(word) for word in header.get("VIEWPOINT", [])[:3]])
    known = len(viewpoint) == 3 and np.isfinite(viewpoint).all() and viewpoint.any()
    return Geometry(
        table[:, :3],
        None,
        table[:, 3:] if len(columns) == 6 else None,
        viewpoint=viewpoint if known else None,
    )


def _pcd_header(path: Path, file: BinaryIO) -> dict[str, list[str]]:
    """Return the words after each keyword of the header; afterwards the file is at its data."""
    header: dict[str, list[str]] = {}
    while "DATA" not in header:
        line = file.readline(4096)
        if not line:
            raise InputError(f"{path} is truncated or is not a PCD file: the file has no line DATA")
        match line.decode("utf-8", "replace").partition("#")[0].split():
            case [keyword, *values]:
                header[keyword.upper()] = values
    for keyword in ("FIELDS", "SIZE", "TYPE", "DATA"):
        if not header.get(keyword):
            raise InputError(
                f"{path} is a damaged PCD file: the line {keyword} is missing or empty"
            )
    return header


def _pcd_text(
    path: Path, file: BinaryIO, points: int, width: int, columns: list[int]
) -> np.ndarray:
    values = array("d")
    lines = (
        words for line in short_lines(file) if (words := line.decode("utf-8", "replace").split())
    )
    for index, words in enumerate(islice(lines, points)):
        if len(words) < width:
            if next(lines, None) is None:  # cut off
                break
            raise InputError(
                f"{path} is damaged: point {index} has {len(words)} numbers, expected {width}"
            )
        values.extend([number(words[column]) for column in columns])
    return np.array(values).reshape(-1, len(columns))


def _pcd_table(path: Path, file: BinaryIO, encoding: str, row: np.dtype, points: int) -> np.ndarray:
    if encoding == "binary":
        blob = file.read(points * row.itemsize)
        return np.frombuffer(blob[: len(blob) // row.itemsize * row.itemsize], row)
    if encoding != "binary_compressed":
        raise InputError(
            f"{path} must have the encoding ascii, binary or binary_compressed, "
            f"got the encoding {encoding!r}"
        )
    sizes = file.read(8)
    if len(sizes) < 8:
        raise InputError(f"{path} is truncated: the sizes of its compressed data are missing")
    compressed, whole = struct.unpack("<II", sizes)
    blob = file.read(compressed)
    if len(blob) < compressed:
        raise InputError(
            f"{path} is truncated: expected {compressed} compressed bytes, got {len(blob)}"
        )
    if whole != points * row.itemsize:
        raise InputError(
            f"{path} is a damaged PCD file: {points} points need {points * row.itemsize} bytes, "
            f"but its compressed data promise {whole}"
        )
    check_count(path, whole, MAXIMUM_BYTES, "bytes of unpacked points")
    # Compressed data are stored field by field, not point by point.
    try:
        flat = lzf_decompress(blob, whole)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path} is a damaged PCD file: its data cannot be decompressed"
        ) from error
    table, start = np.empty(points, row), 0
    for name in row.names or ():
        stop = start + points * row[name].itemsize
        table[name] = np.frombuffer(flat[start:stop], row[name].base).reshape(points, -1)
        start = stop
    return table


def lzf_decompress(data: bytes, size: int) -> bytes:
    """Decompress LZF, the compression of PCD's `binary_compressed` (Lehmann, liblzf).

    A control byte c below 32 is followed by c + 1 literal bytes. Any other control byte copies
    earlier output. The upper three bits of the control byte are the length of the copy, minus 2. If
    these bits are 7, the next byte is added to the length. The lower five bits and the following
    byte are the distance from the end of the output back to the bytes to copy, minus 1.

    Args:
        data: Compressed bytes.
        size: Number of bytes of the result.

    Raises:
        ValueError: If the result does not have `size` bytes, or if a copy begins before the start
            of the result.
    """
    out = bytearray()
    position = 0
    while position < len(data) and len(out) <= size:
        control = data[position]
        position += 1
        if control < 32:
            out += data[position : position + control + 1]
            position += control + 1
            continue
        length = (control >> 5) + 2
        if length == 9:
            length += data[position]
            position += 1
        distance = ((control & 31) << 8) + data[position] + 1
        position += 1
        start = len(out) - distance
        if start < 0:
            raise ValueError("a copy begins before the start of the result")
        # A copy may overlap its own output; the first bytes of the copy are then repeated.
        piece = out[start : start + length]
        out += (piece * (length // len(piece) + 1))[:length]
    if len(out) != size:
        raise ValueError(f"expected {size} bytes, got {len(out)}")
    return bytes(out)

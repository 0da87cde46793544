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
from pcdiff.geometry.limits import MAXIMUM_POINTS, check_count, file_errors


def read_pcd(path: Path) -> Geometry:
    """Read a cloud from a PCD file of version 0.7. For the errors, see `read_geometry`.

    In an organised cloud (HEIGHT above 1), points that are not finite belong to pixels without a
    measurement, so these points are removed. The entry VIEWPOINT states the position of the camera
    unless it is the origin, which programs also write if they do not know the position.
    """
    header: dict[str, list[str]] = {}
    with file_errors(path), path.open("rb") as file:
        try:
            while "DATA" not in header:
                line = file.readline(4096)
                if not line:
                    raise InputError(
                        f"{path} is truncated or is not a PCD file: the file has no line DATA"
                    )
                match line.decode("utf-8", "replace").partition("#")[0].split():
                    case [keyword, *values]:
                        header[keyword.upper()] = values
            fields, encoding = header["FIELDS"], header["DATA"][0].lower()
            sizes, kinds = header["SIZE"], header["TYPE"]
            counts = [int(count) for count in header.get("COUNT", ["1"] * len(fields))]
            height = int(header.get("HEIGHT", ["1"])[0])
            viewpoint = np.array([float(word) for word in header.get("VIEWPOINT", [])[:3]])
            points = int(header["POINTS"][0]) if "POINTS" in header else None
            if points is None:
                points = int(header["WIDTH"][0]) * height
            row = np.dtype(
                [
                    (str(index), f"<{kind.lower()}{int(size)}", (count,))
                    for index, (kind, size, count) in enumerate(
                        zip(kinds, sizes, counts, strict=True)
                    )
                ]
            )
            column = {name: str(index) for index, name in enumerate(fields)}
            if len(fields) != len(sizes) or points < 0 or not {"x", "y", "z"} <= column.keys():
                raise ValueError("the fields do not match")
            check_count(path, points, MAXIMUM_POINTS, "points")
            table = _pcd_table(path, file, encoding, row, points)
        except InputError:
            raise
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise InputError(f"{path} is a damaged PCD file: its values cannot be read") from error

    def columns(names: tuple[str, ...]) -> np.ndarray:
        return np.stack([table[column[name]][:, 0] for name in names], axis=1).astype(np.float64)

    vertices = columns(("x", "y", "z"))
    directions = ("normal_x", "normal_y", "normal_z")
    normals = columns(directions) if column.keys() >= set(directions) else None
    if height > 1:
        seen = np.isfinite(vertices).all(axis=1)
        vertices, normals = vertices[seen], None if normals is None else normals[seen]
    known = len(viewpoint) == 3 and np.isfinite(viewpoint).all() and viewpoint.any()
    return Geometry(vertices, None, normals, viewpoint=viewpoint if known else None)


def _pcd_table(path: Path, file: BinaryIO, encoding: str, row: np.dtype, points: int) -> np.ndarray:
    if encoding == "ascii":
        width = sum(row[name].shape[0] for name in row.names or ())
        values = array("d")
        for line in islice(file, points):
            words = line.split()
            if len(words) < width:
                break
            values.extend(map(float, words[:width]))
        numbers = np.array(values).reshape(-1, width)
        table = np.empty(len(numbers), row)
        start = 0
        for name in row.names or ():
            stop = start + row[name].shape[0]
            table[name] = numbers[:, start:stop]
            start = stop
    elif encoding == "binary":
        blob = file.read(points * row.itemsize)
        table = np.frombuffer(blob[: len(blob) // row.itemsize * row.itemsize], row)
    elif encoding == "binary_compressed":
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
            raise ValueError("the sizes do not match")
        # Compressed data are stored field by field, not point by point.
        flat, table, start = lzf_decompress(blob, whole), np.empty(points, row), 0
        for name in row.names or ():
            stop = start + points * row[name].itemsize
            table[name] = np.frombuffer(flat[start:stop], row[name].base).reshape(points, -1)
            start = stop
    else:
        raise InputError(
            f"{path} must have the encoding ascii, binary or binary_compressed, "
            f"got the encoding {encoding!r}"
        )
    if len(table) < points:
        raise InputError(
            f"{path} is truncated: its header promises {points} points, got {len(table)} points"
        )
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

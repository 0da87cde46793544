"""PLY, ASCII and binary: a mesh or a cloud."""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import (
    MAXIMUM_FACES,
    MAXIMUM_POINTS,
    MAXIMUM_VERTICES,
    check_count,
    file_errors,
)

_PLY_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}


@dataclass(frozen=True)
class _Property:
    name: str
    type: np.dtype
    count_type: np.dtype | None  # of a list: the type of its length


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


@dataclass
class _Table:
    """The columns of an element: a number a row, or for a list its lengths and all its items."""

    columns: dict[str, np.ndarray]
    lists: dict[str, tuple[np.ndarray, np.ndarray]]


def read_ply(path: Path) -> Geometry:
    """Read a PLY file, a mesh or a cloud; errors as for `read_geometry`."""
    with file_errors(path), path.open("rb") as file:
        try:
            encoding, elements = _ply_header(path, file)
            tables = _ply_tables(path, file, encoding, elements)
        except InputError:
            raise
        except (ValueError, LookupError, OverflowError) as error:
            raise InputError(f"{path} is a damaged PLY file") from error
    vertex = tables.get("vertex")
    if vertex is None or not {"x", "y", "z"} <= vertex.columns.keys():
        raise InputError(f"{path} has no vertices with x, y and z")
    vertices = np.stack([vertex.columns[axis] for axis in "xyz"], axis=1).astype(np.float64)
    face = tables.get("face")
    if face is not None and len(face.lists):
        polygons = face.lists.get("vertex_indices", face.lists.get("vertex_index"))
        if polygons is None:
            raise InputError(f"{path} has faces without vertex_indices")
        if len(polygons[0]):
            faces = _fans(path, *polygons)
            return Geometry(vertices, faces)
    normals = None
    if {"nx", "ny", "nz"} <= vertex.columns.keys():
        columns = [vertex.columns[axis] for axis in ("nx", "ny", "nz")]
        normals = np.stack(columns, axis=1).astype(np.float64)
    check_count(path, len(vertices), MAXIMUM_POINTS, "points")
    return Geometry(vertices, None, normals)


def _ply_header(path: Path, file: BinaryIO) -> tuple[str, list[_Element]]:
    # A line of a header is short; a file without line ends must not be taken in as one line.
    if file.readline(1024).strip() != b"ply":
        raise InputError(f"{path} is not a PLY file: it does not begin with ply")
    encoding = ""
    elements: list[_Element] = []
    while (line := file.readline(4096)).strip() != b"end_header":
        if not line:
            raise InputError(f"{path} is truncated: its PLY header has no end_header")
        match line.decode("utf-8", "replace").split():
            case ["format", encoding, _]:
                pass
            case ["element", name, count]:
                elements.append(_Element(name, int(count), ()))
            case ["property", "list", count_type, item_type, name]:
                added = _Property(name, _ply_type(item_type), _ply_type(count_type))
                elements[-1] = _with_property(elements[-1], added)
            case ["property", item_type, name]:
                added = _Property(name, _ply_type(item_type), None)
                elements[-1] = _with_property(elements[-1], added)
            case ["comment" | "obj_info", *_] | []:
                pass
            case _:
                raise ValueError("an unknown line in the header")
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise InputError(f"{path} has the unknown PLY encoding {encoding!r}")
    for element in elements:
        limit = MAXIMUM_FACES if element.name == "face" else MAXIMUM_VERTICES
        if element.count < 0:
            raise ValueError("a negative count")
        check_count(path, element.count, limit, f"rows of the element {element.name}")
    return encoding, elements


def _ply_type(name: str) -> np.dtype:
    return np.dtype(_PLY_TYPES[name])


def _with_property(element: _Element, added: _Property) -> _Element:
    return _Element(element.name, element.count, (*element.properties, added))


def _ply_tables(
    path: Path, file: BinaryIO, encoding: str, elements: list[_Element]
) -> dict[str, _Table]:
    tables = {}
    rows = (words for line in file if (words := line.split())) if encoding == "ascii" else None
    for element in elements:
        if rows is not None:
            table = _ascii_table(rows, element)
        else:
            table = _binary_table(file, element, "<" if encoding.endswith("little_endian") else ">")
        if table is None:
            raise InputError(
                f"{path} is truncated: its header promises {element.count} rows of the element "
                f"{element.name}, and not all are there"
            )
        tables[element.name] = table
    return tables


def _ascii_table(rows: Iterator[list[bytes]], element: _Element) -> _Table | None:
    numbers = {each.name: array("d") for each in element.properties}
    lengths = {each.name: array("q") for each in element.properties if each.count_type}
    for _ in range(element.count):
        words = next(rows, [])
        position = 0
        for each in element.properties:
            length = 1
            if each.count_type:
                if position >= len(words):
                    return None
                length = int(words[position])
                lengths[each.name].append(length)
                position += 1
            found = words[position : position + length]
            if length < 0 or len(found) < length:
                return None
            numbers[each.name].extend(map(float, found))
            position += length
    columns = {name: np.array(values) for name, values in numbers.items() if name not in lengths}
    lists = {name: (np.array(each), np.array(numbers[name])) for name, each in lengths.items()}
    return _Table(columns, lists)


def _binary_table(file: BinaryIO, element: _Element, order: Literal["<", ">"]) -> _Table | None:
    """All rows at once if no list changes its length, as in most files; else row by row."""
    start = file.tell()
    left = os.fstat(file.fileno()).st_size - start
    widths: dict[str, int] = {}
    fields: list[tuple[str, str] | tuple[str, str, int]] = []
    for each in element.properties:
        if each.count_type:
            # The length of the first row's list, at its place after the fields before it.
            count_type = each.count_type.newbyteorder(order)
            file.seek(start + np.dtype(fields).itemsize)
            blob = file.read(count_type.itemsize) if element.count else bytes(count_type.itemsize)
            if len(blob) < count_type.itemsize:
                return None
            width = int(np.frombuffer(blob, count_type)[0])
            if not 0 <= width * each.type.itemsize <= left:
                return None
            widths[each.name] = width
            fields.append((f"length of {each.name}", count_type.str))
            fields.append((each.name, each.type.newbyteorder(order).str, width))
        else:
            fields.append((each.name, each.type.newbyteorder(order).str))
    row = np.dtype(fields)
    file.seek(start)
    if element.count * row.itemsize <= left:
        rows = np.fromfile(file, row, element.count)
        if all((rows[f"length of {name}"] == width).all() for name, width in widths.items()):
            columns = {e.name: rows[e.name] for e in element.properties if e.name not in widths}
            lists = {
                name: (np.full(element.count, width), rows[name].reshape(-1))
                for name, width in widths.items()
            }
            return _Table(columns, lists)
        file.seek(start)
    return _ragged_table(file, element, order) if widths else None


def _ragged_table(file: BinaryIO, element: _Element, order: Literal["<", ">"]) -> _Table | None:
    blob = file.read()
    lengths = {each.name: array("q") for each in element.properties if each.count_type}
    numbers = {each.name: array("d") for each in element.properties}
    position = 0
    try:
        for _ in range(element.count):
            for each in element.properties:
                length = 1
                if each.count_type:
                    (length,) = struct.unpack_from(order + each.count_type.char, blob, position)
                    position += each.count_type.itemsize
                    if length * each.type.itemsize > len(blob) - position:
                        return None
                    lengths[each.name].append(length)
                items = struct.unpack_from(f"{order}{length}{each.type.char}", blob, position)
                position += length * each.type.itemsize
                numbers[each.name].extend(items)
    except struct.error:
        return None
    file.seek(position - len(blob), os.SEEK_CUR)
    columns = {name: np.array(values) for name, values in numbers.items() if name not in lengths}
    lists = {name: (np.array(each), np.array(numbers[name])) for name, each in lengths.items()}
    return _Table(columns, lists)


def _fans(path: Path, lengths: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Triangles of polygons that are given by their lengths and all their corners in a row."""
    if lengths.min() < 3:
        raise InputError(f"{path} has a face with fewer than three corners")
    check_count(path, int(np.sum(lengths - 2)), MAXIMUM_FACES, "faces")
    items = items.astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    polygon = np.repeat(np.arange(len(lengths)), lengths - 2)
    second = np.arange(len(polygon)) - np.repeat(
        np.cumsum(lengths - 2) - (lengths - 2), lengths - 2
    )
    first = starts[polygon]
    return np.stack([items[first], items[first + second + 1], items[first + second + 2]], axis=1)

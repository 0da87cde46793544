"""Reader of text and binary PLY files, which contain a mesh or a point cloud."""

from __future__ import annotations

import codecs
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
from pcdiff.geometry.polygons import triangulate
from pcdiff.geometry.text import LineError, number, short_lines

_PLY_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "float16": "f2",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "int64": "i8",
    "uint64": "u8",
    "float32": "f4",
    "float64": "f8",
}


# Codes of the module struct; NumPy's codes have other sizes on some platforms.
_STRUCT_CODES = {
    "i1": "b",
    "u1": "B",
    "i2": "h",
    "u2": "H",
    "i4": "i",
    "u4": "I",
    "i8": "q",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}


MOST_PROPERTIES = 1000
"""Largest accepted number of elements, and of properties of an element."""

MOST_ROWS = 2 * MAXIMUM_VERTICES
"""Largest accepted number of rows of all elements together."""


@dataclass(frozen=True)
class _Property:
    name: str
    type: np.dtype
    count_type: np.dtype | None  # type of the list length; None if not a list


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


@dataclass
class _Table:
    """The property values of one PLY element, by the name of the property.

    Attributes:
        columns: For each scalar property, one number per row.
        lists: For each list property, the list lengths of all rows and the items of all rows.
    """

    columns: dict[str, np.ndarray]
    lists: dict[str, tuple[np.ndarray, np.ndarray]]


def read_ply(path: Path) -> Geometry:
    """Read a mesh or a cloud from a PLY file. For the errors, see `read_geometry`.

    A mesh has polygons, or triangle strips as in some files of the Stanford repository.
    """
    with file_errors(path), path.open("rb") as file:
        encoding, elements = _ply_header(path, file)
        tables = _ply_tables(path, file, encoding, elements)
    vertex = tables.get("vertex")
    if vertex is None or not {"x", "y", "z"} <= vertex.columns.keys():
        found = "no vertices" if vertex is None else ", ".join(vertex.columns) or "no numbers"
        raise InputError(f"{path} has no vertices with the properties x, y and z, only {found}")
    vertices = np.stack([vertex.columns[axis] for axis in "xyz"], axis=1).astype(np.float64)
    polygons = _corners(path, tables.get("face"), "face")
    strips = _corners(path, tables.get("tristrips"), "tristrips")
    faces: list[np.ndarray] = []
    remarks: tuple[str, ...] = ()
    if polygons is not None:
        split = triangulate(path, vertices, *polygons)
        faces.append(split.faces)
        remarks = split.remarks
    if strips is not None:
        faces.append(_strips(path, *strips))
    if faces:
        return Geometry(vertices, np.concatenate(faces), remarks=remarks)
    normals = None
    if {"nx", "ny", "nz"} <= vertex.columns.keys():
        columns = [vertex.columns[axis] for axis in ("nx", "ny", "nz")]
        normals = np.stack(columns, axis=1).astype(np.float64)
    check_count(path, len(vertices), MAXIMUM_POINTS, "points")
    return Geometry(vertices, None, normals)


def _corners(
    path: Path, table: _Table | None, element: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the lengths and the items of an element's vertex lists; None if it has no lists."""
    if table is None or not table.lists:
        return None
    corners = table.lists.get("vertex_indices", table.lists.get("vertex_index"))
    if corners is None:
        raise InputError(f"{path} has the element {element} without the list vertex_indices")
    lengths, items = corners
    # The rows of a file with lists of different lengths are read as float64.
    if not ((np.abs(items) < 2**53) & (items == np.floor(items))).all():
        raise InputError(f"{path} has a {element} with a corner that is not a whole number")
    return (lengths, items.astype(np.int64)) if len(lengths) else None


def _ply_header(path: Path, file: BinaryIO) -> tuple[str, list[_Element]]:
    # Lines of a header are short, and a file without line ends must not be read as one line.
    if file.readline(1024).removeprefix(codecs.BOM_UTF8).strip() != b"ply":
        raise InputError(f"{path} is not a PLY file: the file does not start with ply")
    encoding = ""
    elements: list[_Element] = []
    while (line := file.readline(4096)).strip() != b"end_header":
        if not line:
            raise InputError(f"{path} is truncated: its PLY header has no end_header")
        text = line.decode("utf-8", "replace")
        try:
            if elements and len(elements) + len(elements[-1].properties) > MOST_PROPERTIES:
                raise LineError(f"a header must have at most {MOST_PROPERTIES} entries")
            match text.split():
                case ["format", encoding, _]:
                    pass
                case ["element", name, count]:
                    elements.append(_Element(name, _ply_count(count), ()))
                case ["property", "list", count_type, item_type, name]:
                    added = _Property(name, _ply_type(item_type), _ply_type(count_type))
                    elements[-1] = _with_property(elements[-1], added)
                case ["property", item_type, name]:
                    added = _Property(name, _ply_type(item_type), None)
                    elements[-1] = _with_property(elements[-1], added)
                case ["comment" | "obj_info", *_] | []:
                    pass
                case _:
                    raise LineError("the line is unknown")
        except (ValueError, LookupError) as error:
            reason = str(error) if isinstance(error, LineError) else "it cannot be read"
            raise InputError(
                f"{path} is a damaged PLY file: the header has the line {text.strip()[:60]!r}, but "
                f"{reason}"
            ) from error
    if encoding not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise InputError(
            f"{path} must have the encoding ascii, binary_little_endian or binary_big_endian, "
            f"got the encoding {encoding!r}"
        )
    for element in elements:
        limit = MAXIMUM_FACES if element.name == "face" else MAXIMUM_VERTICES
        check_count(path, element.count, limit, f"rows of the element {element.name}")
    # A row without properties takes no byte of the file.
    check_count(path, sum(each.count for each in elements), MOST_ROWS, "rows of all elements")
    return encoding, elements


def _ply_count(text: str) -> int:
    if not text.isdecimal():
        raise LineError("a count must be a whole number of at least 0")
    return int(text)


def _ply_type(name: str) -> np.dtype:
    if name not in _PLY_TYPES:
        raise LineError(f"there is no type {name}")
    return np.dtype(_PLY_TYPES[name])


def _with_property(element: _Element, added: _Property) -> _Element:
    if any(each.name == added.name for each in element.properties):
        raise LineError(f"the element {element.name} already has a property {added.name}")
    return _Element(element.name, element.count, (*element.properties, added))


def _ply_tables(
    path: Path, file: BinaryIO, encoding: str, elements: list[_Element]
) -> dict[str, _Table]:
    tables = {}
    lines = short_lines(file)
    rows = (words for line in lines if (words := line.split())) if encoding == "ascii" else None
    for element in elements:
        try:
            if rows is not None:
                table = _ascii_table(rows, element)
            else:
                order: Literal["<", ">"] = "<" if encoding.endswith("little_endian") else ">"
                table = _binary_table(file, element, order)
        except ValueError as error:
            raise InputError(
                f"{path} is a damaged PLY file: in the element {element.name}, {error}"
            ) from error
        if table is None:
            raise InputError(
                f"{path} is truncated: its header promises {element.count} rows of the element "
                f"{element.name}, but some rows are missing"
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
                length = _list_length(float(words[position]))
                lengths[each.name].append(length)
                position += 1
            found = words[position : position + length]
            if len(found) < length:
                return None
            try:
                values = [*map(float, found)]
            except ValueError:
                values = [number(word.decode("utf-8", "replace")) for word in found]
            numbers[each.name].extend(values)
            position += length
    columns = {name: np.array(values) for name, values in numbers.items() if name not in lengths}
    lists = {
        name: (np.array(each, np.int64), np.array(numbers[name])) for name, each in lengths.items()
    }
    return _Table(columns, lists)


def _binary_table(file: BinaryIO, element: _Element, order: Literal["<", ">"]) -> _Table | None:
    """Read all rows at once if no list changes its length between rows; otherwise row by row."""
    start = file.tell()
    left = os.fstat(file.fileno()).st_size - start
    widths: dict[str, int] = {}
    fields: list[tuple[str, str] | tuple[str, str, int]] = []
    for each in element.properties:
        if each.count_type:
            # In the first row, the length of this list comes after the preceding fields.
            count_type = each.count_type.newbyteorder(order)
            file.seek(start + np.dtype(fields).itemsize)
            blob = file.read(count_type.itemsize) if element.count else bytes(count_type.itemsize)
            if len(blob) < count_type.itemsize:
                return None
            width = _list_length(float(np.frombuffer(blob, count_type)[0]))
            if width * each.type.itemsize > left:
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
                    (count,) = struct.unpack_from(order + _code(each.count_type), blob, position)
                    length = _list_length(count)
                    position += each.count_type.itemsize
                    if length * each.type.itemsize > len(blob) - position:
                        return None
                    lengths[each.name].append(length)
                items = struct.unpack_from(f"{order}{length}{_code(each.type)}", blob, position)
                position += length * each.type.itemsize
                numbers[each.name].extend(items)
    except struct.error:
        return None
    file.seek(position - len(blob), os.SEEK_CUR)
    columns = {name: np.array(values) for name, values in numbers.items() if name not in lengths}
    lists = {
        name: (np.array(each, np.int64), np.array(numbers[name])) for name, each in lengths.items()
    }
    return _Table(columns, lists)


def _list_length(count: int | float) -> int:
    """Check the length of a list, which a few files store as a floating-point number."""
    if not (0 <= count < 2**32 and count == int(count)):
        raise ValueError(f"a list has the length {count:g}")
    return int(count)


def _code(kind: np.dtype) -> str:
    return _STRUCT_CODES[kind.str[1:]]


def _strips(path: Path, lengths: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Split triangle strips into triangles with consistent orientation.

    Each vertex after the second vertex forms a triangle with the two preceding vertices. The
    corners of every second triangle are reversed. An item of −1 starts a new strip.

    Args:
        path: File that contains the strips.
        lengths: Number of items of each list of strips.
        items: Items of all lists, indices of vertices or −1, one list after the other.
    """
    ends = np.cumsum(lengths)
    row = np.append(np.insert(items.astype(np.int64), ends, -1), [-1, -1])
    index = np.arange(len(row))
    start = np.maximum.accumulate(np.where(row == -1, index + 1, 0))
    windows = np.lib.stride_tricks.sliding_window_view(row, 3)
    whole = (windows != -1).all(axis=1)
    check_count(path, int(whole.sum()), MAXIMUM_FACES, "faces")
    odd = (index - start)[:-2][whole] % 2 == 1
    return np.where(odd[:, None], windows[whole][:, ::-1], windows[whole])

"""The geometry in a file, as it stands there: meshes and point clouds of the common formats.

The text and table formats are read here, not by a library, so that a damaged file becomes a
sentence that names the line or the count, never a mesh that silently lacks a part, and so that no
count in a header reserves memory before it is held against `MAXIMUM_FACES`, `MAXIMUM_POINTS` and
the size of the file. The scene formats, glb and dae, are read by trimesh. Texture, colour and
material are ignored.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import struct
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import BinaryIO, Literal, TextIO

import numpy as np
from jaxtyping import Float, Int

from pcdiff.errors import InputError

UNITS: dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
"""Metres in one of each unit of length."""

MAXIMUM_FACES = 5_000_000
"""Of a mesh, as triangles."""

MAXIMUM_POINTS = 2_500_000
"""Of a point cloud, and pixels of a depth image."""

MAXIMUM_VERTICES = 3 * MAXIMUM_FACES
"""Of a mesh; this many where no two triangles share one, as in an STL file."""

MAXIMUM_BYTES = 256 * 2**20
"""Of a file; a binary STL of `MAXIMUM_FACES` triangles is just smaller."""

# What trimesh and its XML and JSON readers raise for damaged files; none promises a narrower set.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NameError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    struct.error,
)


@dataclass(frozen=True, eq=False)
class Geometry:
    """What a file says, unchecked but for its syntax, in the file's unit and axes.

    Args:
        vertices: The vertices of a mesh, or the points of a cloud.
        faces: Triangles; None for a cloud. Polygons are cut into fans.
        normals: A direction for each point of a cloud, if the file has them.
        unit: Metres in a unit of the file, if the file says so.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"] | None = None
    normals: Float[np.ndarray, "vertices 3"] | None = None
    unit: float | None = None


def read_geometry(path: Path) -> Geometry:
    """Read a mesh (.obj, .stl, .off, .glb, .dae), a cloud (.pcd, .xyz, .npy) or either (.ply).

    Args:
        path: The file; its ending says the format.

    Raises:
        InputError: It is missing, empty, damaged, larger than the limits above, or of another
            format.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} must end in one of {', '.join(READERS)}")
    check_file(path)
    return reader(path)


def check_file(path: Path) -> None:
    """Refuse a file that is missing, empty or larger than `MAXIMUM_BYTES`."""
    with _reading(path):
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if not path.is_file():
            raise InputError(f"{path} is not a file")
        size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty")
    if size > MAXIMUM_BYTES:
        raise InputError(
            f"{path} has {size / 2**20:.0f} MiB, more than the {MAXIMUM_BYTES // 2**20} MiB that "
            "are read: make it coarser"
        )


def read_bytes(path: Path) -> bytes:
    """All of a file that `check_file` lets pass."""
    check_file(path)
    with _reading(path):
        return path.read_bytes()


def read_npy(path: Path) -> np.ndarray:
    """The array in an npy file, mapped, so that a header cannot reserve more than there is.

    Raises:
        InputError: The file is missing, damaged or too large, or needs unpickling.
    """
    check_file(path)
    with _reading(path):
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, SyntaxError) as error:
            raise InputError(f"{path} is a damaged npy file, or holds no array") from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence about the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def check_count(path: Path, count: int, limit: int, what: str) -> None:
    """Refuse a file of more than `limit` things; `what` is their name in the plural."""
    if count > limit:
        raise InputError(
            f"{path} has {count} {what}, more than the {limit} that are read: make it coarser"
        )


# ------------------------------------------------------------------------------------------- text


@contextlib.contextmanager
def _lines(path: Path) -> Iterator[Iterator[list[str]]]:
    """The words of each line of a text; an error in the body names the line that it met."""
    number, text = 0, ""

    def words(file: TextIO) -> Iterator[list[str]]:
        nonlocal number, text
        for text in file:
            number += 1
            yield text.split()

    try:
        with _reading(path), path.open(encoding="utf-8", errors="replace") as file:
            yield words(file)
    except InputError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        line = text.strip()
        shown = repr(line if len(line) <= 40 else line[:40] + "…")
        raise InputError(f"{path} is damaged in line {number}, {shown}") from error


def _add_polygon(corners: array[int], polygon: list[int], path: Path) -> None:
    """Append a polygon as a fan of triangles."""
    if len(polygon) < 3:
        raise ValueError("a face needs three corners")
    for second, third in pairwise(polygon[1:]):
        corners.extend((polygon[0], second, third))
    check_count(path, len(corners) // 3, MAXIMUM_FACES, "faces")


def _triples(numbers: array[float] | array[int]) -> np.ndarray:
    return np.array(numbers, np.int64 if numbers.typecode == "q" else np.float64).reshape(-1, 3)


# -------------------------------------------------------------------------------------------- obj


def _read_obj(path: Path) -> Geometry:
    vertices, faces, _ = _obj(path)
    return Geometry(vertices, faces)


def read_obj_objects(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each `o` of a Wavefront OBJ file as (vertices, faces), with the vertices that it uses.

    Args:
        path: The file.

    Raises:
        InputError: As for `read_geometry`, or a face has a vertex that is not there.
    """
    check_file(path)
    vertices, faces, starts = _obj(path)
    check_corners(path, vertices, faces)
    objects = []
    for first, last in pairwise([*starts, len(faces)]):
        used, corners = np.unique(faces[first:last], return_inverse=True)
        objects.append((vertices[used], corners.reshape(-1, 3)))
    return objects


def check_corners(path: Path | str, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Refuse faces with a vertex that is not there."""
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise InputError(
            f"{path} has a face with a vertex that is not there: it has {len(vertices)} vertices"
        )


def _obj(path: Path) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Vertices, faces, and the number of faces before each `o`."""
    coordinates, corners, starts = array("d"), array("q"), []
    with _lines(path) as lines:
        for words in lines:
            keyword = words[0] if words else ""
            if keyword == "v":
                coordinates.extend((float(words[1]), float(words[2]), float(words[3])))
                check_count(path, len(coordinates) // 3, MAXIMUM_VERTICES, "vertices")
            elif keyword == "f":
                polygon = []
                for word in words[1:]:
                    corner = int(word.partition("/")[0])
                    if corner == 0:
                        raise ValueError("vertices are counted from 1")
                    # A negative number counts back from the latest vertex.
                    polygon.append(corner - 1 if corner > 0 else len(coordinates) // 3 + corner)
                _add_polygon(corners, polygon, path)
            elif keyword == "o":
                starts.append(len(corners) // 3)
    return _triples(coordinates), _triples(corners), starts


# -------------------------------------------------------------------------------------------- stl

_STL_HEADER = 84
_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def _read_stl(path: Path) -> Geometry:
    with _reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(512)
        count = int.from_bytes(header[80:84], "little")
        promised = _STL_HEADER + count * _STL_TRIANGLE.itemsize
        # A binary file may begin with "solid" too, but its counts are hardly ever without a zero.
        if size != promised and header.lstrip().startswith(b"solid") and b"\0" not in header:
            vertices = _ascii_stl(path)
        elif size < _STL_HEADER:
            raise InputError(f"{path} is truncated: it has no whole STL header")
        else:
            if size != promised:
                raise InputError(
                    f"{path} is truncated or not an STL file: its header promises {count} "
                    f"triangles, which is {promised} bytes, and it has {size}"
                )
            check_count(path, count, MAXIMUM_FACES, "faces")
            file.seek(_STL_HEADER)
            triangles = np.fromfile(file, _STL_TRIANGLE, count)
            vertices = triangles["corners"].reshape(-1, 3).astype(np.float64)
    return Geometry(vertices, np.arange(len(vertices)).reshape(-1, 3))


def _ascii_stl(path: Path) -> np.ndarray:
    coordinates, ended = array("d"), False
    with _lines(path) as lines:
        for words in lines:
            keyword = words[0].lower() if words else ""
            if keyword == "vertex":
                coordinates.extend((float(words[1]), float(words[2]), float(words[3])))
                check_count(path, len(coordinates) // 9, MAXIMUM_FACES, "faces")
                ended = False
            elif keyword == "endsolid":
                ended = True
    if not ended or len(coordinates) % 9:
        raise InputError(f"{path} is truncated: it ends without endsolid after whole triangles")
    return _triples(coordinates)


# -------------------------------------------------------------------------------------------- off


def _read_off(path: Path) -> Geometry:
    coordinates, corners = array("d"), array("q")
    with _lines(path) as lines:
        # Comments begin with #; empty lines may stand anywhere.
        rows = (kept for words in lines if (kept := " ".join(words).partition("#")[0].split()))
        first = next(rows, [])
        # Some of ModelNet's files have their counts on the first line, even without a space.
        header = re.fullmatch(r"(?:ST|C|N)*OFF((?: ?\d+)*)", " ".join(first))
        if header is None:
            raise InputError(f"{path} is not an OFF file: it does not begin with OFF")
        counts = [int(word) for word in header[1].split() or next(rows, [])]
        vertex_count, face_count = counts[0], counts[1]
        check_count(path, vertex_count, MAXIMUM_VERTICES, "vertices")
        check_count(path, face_count, MAXIMUM_FACES, "faces")
        for row in islice(rows, vertex_count):
            coordinates.extend((float(row[0]), float(row[1]), float(row[2])))
        found = 0
        for row in islice(rows, face_count):
            polygon = [int(word) for word in row[1 : 1 + int(row[0])]]
            if len(polygon) != int(row[0]):
                raise ValueError("fewer corners than promised")
            _add_polygon(corners, polygon, path)
            found += 1
    if len(coordinates) // 3 < vertex_count or found < face_count:
        raise InputError(
            f"{path} is truncated: its header promises {vertex_count} vertices and {face_count} "
            f"faces, and it has {len(coordinates) // 3} and {found}"
        )
    return Geometry(_triples(coordinates), _triples(corners))


# -------------------------------------------------------------------------------------------- ply

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


def _read_ply(path: Path) -> Geometry:
    with _reading(path), path.open("rb") as file:
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


# ------------------------------------------------------------------------------------ glb and dae


def _read_glb(path: Path) -> Geometry:
    with _reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(20)
        if not header.startswith(b"glTF"):
            raise InputError(f"{path} is not a glb file: it does not begin with glTF")
        if len(header) < 20:
            raise InputError(f"{path} is truncated: it has no whole glb header")
        version, promised, length, kind = struct.unpack("<4xIII4s", header)
        if promised != size:
            raise InputError(f"{path} is truncated: it promises {promised} bytes and has {size}")
        if version != 2 or kind != b"JSON" or length > size:
            raise InputError(f"{path} is not a glTF 2.0 file")
        try:
            accessors = json.loads(file.read(length)).get("accessors", [])
            count = max((int(each["count"]) for each in accessors), default=0)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} is a damaged glb file") from error
    # A count without a buffer behind it would be filled up with zeros.
    check_count(path, count, MAXIMUM_VERTICES, "items in an accessor")
    return _read_scene(path)


def _read_dae(path: Path) -> Geometry:
    # trimesh reads it through this package, which it does not bring along.
    if importlib.util.find_spec("collada") is None:
        raise InputError(f"reading {path} needs the package pycollada, which is not installed")
    from collada.common import DaeError

    # That package turns a NaN into 0.
    if re.search(rb"[\s>]nan[\s<]", read_bytes(path), re.IGNORECASE):
        raise InputError(f"{path} has a number that is not finite")
    return _read_scene(path, DaeError)


def _read_scene(path: Path, *more_damaged: type[Exception]) -> Geometry:
    """All triangles of a scene where its graph puts them; axes are not converted."""
    import trimesh

    damaged: tuple[type[Exception], ...] = (*_DAMAGED, *more_damaged)
    try:
        scene = trimesh.load_scene(path, process=False, skip_materials=True)
        placed = [
            (*scene.graph[node],)
            for node in scene.graph.nodes_geometry
            if isinstance(scene.geometry[scene.graph[node][1]], trimesh.Trimesh)
        ]
        meshes = [(transform, scene.geometry[name]) for transform, name in placed]
        # One mesh may be placed many times, so the file's size does not bound the faces.
        check_count(path, sum(len(mesh.faces) for _, mesh in meshes), MAXIMUM_FACES, "faces")
        units = {str(mesh.metadata.get("units", "")) for _, mesh in meshes} - {""}
        unit = trimesh.units.unit_conversion(units.pop(), "meters") if len(units) == 1 else None
    except InputError:
        raise
    except damaged as error:
        raise InputError(
            f"{path} is damaged, or holds no scene ({type(error).__name__})"
        ) from error
    vertices, faces, count = [np.empty((0, 3))], [np.empty((0, 3), np.int64)], 0
    for transform, mesh in meshes:
        corners = np.asarray(mesh.faces, np.int64)
        check_corners(path, mesh.vertices, corners)
        # A mirror turns each triangle inside out.
        faces.append((corners if np.linalg.det(transform) > 0 else corners[:, ::-1]) + count)
        vertices.append(np.asarray(mesh.vertices) @ transform[:3, :3].T + transform[:3, 3])
        count += len(mesh.vertices)
    return Geometry(np.concatenate(vertices), np.concatenate(faces), unit=unit)


# ---------------------------------------------------------------------------------- pcd, xyz, npy


def _read_pcd(path: Path) -> Geometry:
    """A cloud of the Point Cloud Library, file version 0.7.

    The points of an image (HEIGHT above 1) that are not finite are pixels that saw nothing and are
    left out. VIEWPOINT is not used: its usual value says nothing about where the camera was.
    """
    header: dict[str, list[str]] = {}
    with _reading(path), path.open("rb") as file:
        try:
            while "DATA" not in header:
                line = file.readline(4096)
                if not line:
                    raise InputError(f"{path} is truncated or no PCD file: it has no line DATA")
                match line.decode("utf-8", "replace").partition("#")[0].split():
                    case [keyword, *values]:
                        header[keyword.upper()] = values
            fields, encoding = header["FIELDS"], header["DATA"][0].lower()
            sizes, kinds = header["SIZE"], header["TYPE"]
            counts = [int(count) for count in header.get("COUNT", ["1"] * len(fields))]
            height = int(header.get("HEIGHT", ["1"])[0])
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
                raise ValueError("fields that do not fit")
            check_count(path, points, MAXIMUM_POINTS, "points")
            table = _pcd_table(path, file, encoding, row, points)
        except InputError:
            raise
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise InputError(f"{path} is a damaged PCD file") from error

    def columns(names: tuple[str, ...]) -> np.ndarray:
        return np.stack([table[column[name]][:, 0] for name in names], axis=1).astype(np.float64)

    vertices = columns(("x", "y", "z"))
    directions = ("normal_x", "normal_y", "normal_z")
    normals = columns(directions) if column.keys() >= set(directions) else None
    if height > 1:
        seen = np.isfinite(vertices).all(axis=1)
        vertices, normals = vertices[seen], None if normals is None else normals[seen]
    return Geometry(vertices, None, normals)


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
            raise InputError(f"{path} is truncated: it has no sizes of its compressed data")
        compressed, whole = struct.unpack("<II", sizes)
        blob = file.read(compressed)
        if len(blob) < compressed:
            raise InputError(f"{path} is truncated: it promises {compressed} bytes of data")
        if whole != points * row.itemsize:
            raise ValueError("sizes that do not fit")
        # Compressed data stand field by field, not point by point.
        flat, table, start = lzf_decompress(blob, whole), np.empty(points, row), 0
        for name in row.names or ():
            stop = start + points * row[name].itemsize
            table[name] = np.frombuffer(flat[start:stop], row[name].base).reshape(points, -1)
            start = stop
    else:
        raise InputError(f"{path} has the unknown PCD encoding {encoding!r}")
    if len(table) < points:
        raise InputError(
            f"{path} is truncated: its header promises {points} points, and it has {len(table)}"
        )
    return table


def lzf_decompress(data: bytes, size: int) -> bytes:
    """Undo LZF, the compression of PCD's `binary_compressed` (Lehmann, liblzf).

    A control byte below 32 announces that many literal bytes and one more. Any other is a copy of
    earlier output: its three upper bits are the length less 2 (7: the next byte is added), its
    five lower bits and the next byte are the distance less 1.

    Args:
        data: What is compressed.
        size: Bytes of the result.

    Raises:
        ValueError: It does not decompress to that many bytes.
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
            raise ValueError("a copy from before the beginning")
        # A copy may reach into itself: it then repeats its first bytes.
        piece = out[start : start + length]
        out += (piece * (length // len(piece) + 1))[:length]
    if len(out) != size:
        raise ValueError("another size than promised")
    return bytes(out)


def _read_xyz(path: Path) -> Geometry:
    """A point a line: x y z, or x y z and a normal; # begins a comment."""
    values, width = array("d"), 0
    with _lines(path) as lines:
        for words in lines:
            row = " ".join(words).partition("#")[0].replace(",", " ").split()
            if row:
                width = width or len(row)
                if len(row) != width or width not in (3, 6):
                    raise ValueError("another number of columns")
                values.extend(map(float, row))
                check_count(path, len(values) // width, MAXIMUM_POINTS, "points")
    if not width:
        raise InputError(f"{path} has no points")
    return _points_and_normals(np.array(values).reshape(-1, width))


def _read_npy(path: Path) -> Geometry:
    table = read_npy(path)
    shape = table.shape
    if len(shape) != 2 or shape[1] not in (3, 6) or table.dtype.kind not in "fiu":
        raise InputError(
            f"{path} must hold numbers of shape (n, 3), or (n, 6) with normals, "
            f"got {table.dtype} of shape {shape}"
        )
    check_count(path, len(table), MAXIMUM_POINTS, "points")
    return _points_and_normals(np.array(table, np.float64))


def _points_and_normals(table: np.ndarray) -> Geometry:
    return Geometry(table[:, :3], None, table[:, 3:] if table.shape[1] == 6 else None)


READERS: dict[str, Callable[[Path], Geometry]] = {
    ".obj": _read_obj,
    ".stl": _read_stl,
    ".ply": _read_ply,
    ".off": _read_off,
    ".glb": _read_glb,
    ".dae": _read_dae,
    ".pcd": _read_pcd,
    ".xyz": _read_xyz,
    ".npy": _read_npy,
}
"""The reader of each ending."""

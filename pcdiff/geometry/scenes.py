"""Readers of glTF and COLLADA files; they use trimesh and apply the transforms of the scene."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pcdiff.bounds import shown
from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry, check_corners
from pcdiff.geometry.limits import (
    DAMAGED_JSON,
    MAXIMUM_FACES,
    MAXIMUM_VERTICES,
    check_count,
    file_errors,
    read_bytes,
)
from pcdiff.untrusted import check_json

DAMAGED: tuple[type[Exception], ...] = (
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
    ImportError,
    struct.error,
)
"""Errors that trimesh and its XML, JSON and text readers may raise for a damaged file.

The readers do not document a shorter list. A reader raises `ImportError` if it needs another
package to guess the encoding of a text or to decompress data.
"""


def read_glb(path: Path) -> Geometry:
    """Read a mesh from a binary glTF 2.0 file. For the errors, see `read_geometry`."""
    with file_errors(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(20)
        if not header.startswith(b"glTF"):
            raise InputError(f"{path} is not a glb file: the file does not start with glTF")
        if len(header) < 20:
            raise InputError(f"{path} is truncated: its glb header is incomplete")
        version, promised, length, kind = struct.unpack("<4xIII4s", header)
        if promised != size:
            raise InputError(f"{path} is truncated: expected {promised} bytes, got {size} bytes")
        if version != 2 or kind != b"JSON" or length > size:
            raise InputError(
                f"{path} must be a glTF 2.0 file with a JSON chunk, got version {version} with a "
                f"chunk {kind!r} of {length} bytes"
            )
        try:
            text = file.read(length)
            check_json(text)
            document = json.loads(text)
            accessors = document.get("accessors", [])
            counts = [int(each["count"]) for each in accessors]
            _check_inside(path, document)
        except InputError as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        except DAMAGED_JSON as error:
            raise InputError(f"{path} is a damaged glb file: its JSON cannot be read") from error
    # If an accessor has no buffer, trimesh would fill the accessor with zeros.
    check_count(path, max(counts, default=0), MAXIMUM_VERTICES, "items in an accessor")
    # Any number of accessors may show the same bytes.
    check_count(path, sum(counts), 4 * MAXIMUM_VERTICES, "items in all accessors")
    return _read_scene(path)


def _check_inside(path: Path, document: dict[str, Any]) -> None:
    """Raise `InputError` if a glb file stores its geometry in another file."""
    for buffer in document.get("buffers", []):
        uri = buffer.get("uri")
        if uri is not None and not str(uri).startswith("data:"):
            raise InputError(
                f"a glb file must contain its own geometry, got a reference to the file "
                f"{shown(str(uri))}"
            )


def read_dae(path: Path) -> Geometry:
    """Read a mesh from a COLLADA file. For the errors, see `read_geometry`."""
    # trimesh reads COLLADA files with this package but does not require the package.
    if importlib.util.find_spec("collada") is None:
        raise InputError(f"reading {path} needs the package pycollada, which is not installed")
    from collada.common import DaeError

    # pycollada converts NaN to 0.
    content = read_bytes(path)
    if re.search(rb"[\s>]nan[\s<]", content, re.IGNORECASE):
        raise InputError(f"{path} has a number that is not finite: NaN")
    # pycollada also unpacks zip archives, and an XML parser expands and loads declared entities.
    if zipfile.is_zipfile(io.BytesIO(content)):
        raise InputError(f"{path} must be a COLLADA text, got a zip archive: unpack it first")
    if re.search(rb"<!\s*(DOCTYPE|ENTITY)", content.replace(b"\0", b""), re.IGNORECASE):
        raise InputError(f"{path} must be plain COLLADA, got declarations of a document type")
    return _read_scene(path, DaeError)


def _read_scene(path: Path, *more_damaged: type[Exception]) -> Geometry:
    """Read all triangles of a scene in the frame of the scene; axes are not converted."""
    import trimesh

    damaged: tuple[type[Exception], ...] = (*DAMAGED, *more_damaged)
    try:
        # Given bytes and no resolver, trimesh cannot open any file that this file names.
        scene = trimesh.load_scene(
            io.BytesIO(read_bytes(path)),
            file_type=path.suffix.lower().removeprefix("."),
            resolver=None,
            process=False,
            skip_materials=True,
        )
        placed = [
            (*scene.graph[node],)
            for node in scene.graph.nodes_geometry
            if isinstance(scene.geometry[scene.graph[node][1]], trimesh.Trimesh)
        ]
        meshes = [(transform, scene.geometry[name]) for transform, name in placed]
        # A scene may contain one mesh many times, so the size of the file does not limit the faces.
        check_count(path, sum(len(mesh.faces) for _, mesh in meshes), MAXIMUM_FACES, "faces")
        units = {str(mesh.metadata.get("units", "")) for _, mesh in meshes} - {""}
        unit = trimesh.units.unit_conversion(units.pop(), "meters") if len(units) == 1 else None
    except InputError:
        raise
    except damaged as error:
        raise InputError(f"{path} is damaged or has no scene ({type(error).__name__})") from error
    vertices, faces, count = [np.empty((0, 3))], [np.empty((0, 3), np.int64)], 0
    for transform, mesh in meshes:
        corners = np.asarray(mesh.faces, np.int64)
        check_corners(path, mesh.vertices, corners)
        # A mirroring transform turns each triangle inside out.
        faces.append((corners if np.linalg.det(transform) > 0 else corners[:, ::-1]) + count)
        vertices.append(np.asarray(mesh.vertices) @ transform[:3, :3].T + transform[:3, 3])
        count += len(mesh.vertices)
    return Geometry(np.concatenate(vertices), np.concatenate(faces), unit=unit)

"""Readers of glTF and COLLADA files; they use trimesh and apply the transforms of the scene."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import struct
from pathlib import Path

import numpy as np

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
            accessors = json.loads(file.read(length)).get("accessors", [])
            count = max((int(each["count"]) for each in accessors), default=0)
        except DAMAGED_JSON as error:
            raise InputError(f"{path} is a damaged glb file: its JSON cannot be read") from error
    # If an accessor has no buffer, trimesh would fill the accessor with zeros.
    check_count(path, count, MAXIMUM_VERTICES, "items in an accessor")
    return _read_scene(path)


def read_dae(path: Path) -> Geometry:
    """Read a mesh from a COLLADA file. For the errors, see `read_geometry`."""
    # trimesh reads COLLADA files with this package but does not require the package.
    if importlib.util.find_spec("collada") is None:
        raise InputError(f"reading {path} needs the package pycollada, which is not installed")
    from collada.common import DaeError

    # pycollada converts NaN to 0.
    if re.search(rb"[\s>]nan[\s<]", read_bytes(path), re.IGNORECASE):
        raise InputError(f"{path} has a number that is not finite: NaN")
    return _read_scene(path, DaeError)


def _read_scene(path: Path, *more_damaged: type[Exception]) -> Geometry:
    """Read all triangles of a scene in the frame of the scene; axes are not converted."""
    import trimesh

    damaged: tuple[type[Exception], ...] = (*DAMAGED, *more_damaged)
    try:
        scene = trimesh.load_scene(path, process=False, skip_materials=True)
        placed = [
            (str(node), *scene.graph[node])
            for node in scene.graph.nodes_geometry
            if isinstance(scene.geometry[scene.graph[node][1]], trimesh.Trimesh)
        ]
        meshes = [(node, transform, scene.geometry[name]) for node, transform, name in placed]
        # A scene may contain one mesh many times, so the size of the file does not limit the faces.
        check_count(path, sum(len(mesh.faces) for _, _, mesh in meshes), MAXIMUM_FACES, "faces")
        units = {str(mesh.metadata.get("units", "")) for _, _, mesh in meshes} - {""}
        unit = trimesh.units.unit_conversion(units.pop(), "meters") if len(units) == 1 else None
    except InputError:
        raise
    except damaged as error:
        raise InputError(f"{path} is damaged or has no scene ({type(error).__name__})") from error
    vertices, faces, count = [np.empty((0, 3))], [np.empty((0, 3), np.int64)], 0
    for _, transform, mesh in meshes:
        corners = np.asarray(mesh.faces, np.int64)
        check_corners(path, mesh.vertices, corners)
        # A mirroring transform turns each triangle inside out.
        faces.append((corners if np.linalg.det(transform) > 0 else corners[:, ::-1]) + count)
        vertices.append(np.asarray(mesh.vertices) @ transform[:3, :3].T + transform[:3, 3])
        count += len(mesh.vertices)
    owners = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for _, _, mesh in meshes])
    names = tuple(node for node, _, _ in meshes)
    return Geometry(
        np.concatenate(vertices), np.concatenate(faces), unit=unit, names=names, owners=owners
    )

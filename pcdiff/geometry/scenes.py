"""Reader of glTF files; it uses trimesh and applies the transforms of the scene."""

from __future__ import annotations

import io
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from pcdiff.bounds import shown
from pcdiff.errors import InputError, cause_of
from pcdiff.geometry.geometry import Geometry, check_corners
from pcdiff.geometry.gltf import check_extensions, with_plain_positions
from pcdiff.geometry.limits import (
    DAMAGED_JSON,
    MAXIMUM_FACES,
    MAXIMUM_VERTICES,
    check_count,
    file_errors,
    read_bytes,
)
from pcdiff.untrusted import check_json

MOST_PARTS = 10_000
"""Largest accepted number of nodes, and of parts of meshes, in a scene."""


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
            counts = [int(each["count"]) for each in document.get("accessors", [])]
            _check_inside(document)
            _check_parts(document)
            check_extensions(document)
        except InputError as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        except DAMAGED_JSON as error:
            raise InputError(
                f"{path} is a damaged glb file: its JSON cannot be read ({cause_of(error)})"
            ) from error
    # If an accessor has no buffer, trimesh would fill the accessor with zeros.
    check_count(path, max(counts, default=0), MAXIMUM_VERTICES, "items in an accessor")
    # Any number of accessors may show the same bytes.
    check_count(path, sum(counts), 4 * MAXIMUM_VERTICES, "items in all accessors")
    content = read_bytes(path)
    try:
        # trimesh takes normalised integers for whole units.
        plain = with_plain_positions(document, content[20 + length + 8 :])
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(f"{path} is a damaged glb file: {cause_of(error)}") from error
    return _read_scene(path, content if plain is None else plain)


def _check_inside(document: dict[str, Any]) -> None:
    """Raise `InputError` if a glb file stores its geometry in another file."""
    for buffer in document.get("buffers", []):
        uri = buffer.get("uri")
        if uri is not None and not str(uri).startswith("data:"):
            raise InputError(
                f"a glb file must contain its own geometry, got a reference to the file "
                f"{shown(str(uri))}"
            )


def _check_parts(document: dict[str, Any]) -> None:
    """Raise `InputError` if a scene has so many parts that each of them costs too much."""
    nodes = document.get("nodes", [])
    parts = [each for mesh in document.get("meshes", []) for each in mesh["primitives"]]
    for name, count in (("nodes", len(nodes)), ("parts of meshes", len(parts))):
        if count > MOST_PARTS:
            raise InputError(f"a glb file must have at most {MOST_PARTS} {name}, got {count}")
    children = [child for node in nodes for child in node.get("children", [])]
    if len(children) != len(set(children)):
        raise InputError("each node must be the child of one node, got a node with several parents")


def _read_scene(path: Path, content: bytes) -> Geometry:
    """Read all triangles of a scene in the frame of the scene; axes are not converted."""
    import trimesh

    try:
        # Given bytes and no resolver, trimesh cannot open any file that this file names.
        scene = trimesh.load_scene(
            io.BytesIO(content),
            file_type="glb",
            resolver=None,
            process=False,
            skip_materials=True,
        )
        placed = [
            (str(node), *scene.graph[node])
            for node in scene.graph.nodes_geometry
            if isinstance(scene.geometry[scene.graph[node][1]], trimesh.Trimesh)
        ]
        meshes = [(node, transform, scene.geometry[name]) for node, transform, name in placed]
        # A scene may contain one mesh many times, so the size of the file does not limit the faces.
        check_count(path, sum(len(mesh.faces) for _, _, mesh in meshes), MAXIMUM_FACES, "faces")
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is damaged or has no scene ({cause_of(error)})") from error
    vertices, faces, count = [np.empty((0, 3))], [np.empty((0, 3), np.int64)], 0
    for _, transform, mesh in meshes:
        corners = np.asarray(mesh.faces, np.int64)
        check_corners(path, mesh.vertices, corners)
        # A mirroring transform turns each triangle inside out.
        faces.append((corners if np.linalg.det(transform) > 0 else corners[:, ::-1]) + count)
        vertices.append(np.asarray(mesh.vertices) @ transform[:3, :3].T + transform[:3, 3])
        count += len(mesh.vertices)
    owners = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for _, _, mesh in meshes])
    return Geometry(
        np.concatenate(vertices),
        np.concatenate(faces),
        unit=1.0 if meshes else None,
        names=tuple(node for node, _, _ in meshes),
        owners=owners,
    )

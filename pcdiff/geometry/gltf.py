"""What trimesh ignores in a glb file: required extensions and quantised positions.

The format is that of the glTF 2.0 specification (Khronos Group, 2021).
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from pcdiff.errors import InputError

_COMPRESSED = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}

# Extensions that change only how a mesh looks, or that this module or trimesh reads.
_HARMLESS = (
    "KHR_materials_",
    "KHR_texture_",
    "EXT_texture_",
    "KHR_lights_",
    "KHR_mesh_quantization",
)

_INTEGERS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2"}

_TRIANGLE_FAN = 6


def check_extensions(document: dict[str, Any]) -> None:
    """Check that a glTF document needs nothing that would be ignored.

    Args:
        document: JSON of the document.

    Raises:
        InputError: If the meshes are compressed, another extension is required, or a mesh consists
            of triangle fans.
    """
    required = [str(name) for name in document.get("extensionsRequired", [])]
    primitives = _primitives(document)
    # A file may hold compressed data beside plain data, and then does not require the extension.
    for primitive in primitives:
        position = document["accessors"][primitive["attributes"]["POSITION"]]
        if "bufferView" not in position:
            required += primitive.get("extensions", {})
    for name in required:
        if name in _COMPRESSED:
            raise InputError(
                f"its meshes are compressed with {_COMPRESSED[name]} ({name}), which is not "
                "supported: export it without compression"
            )
        if not name.startswith(_HARMLESS):
            raise InputError(f"it requires the glTF extension {name}, which is not supported")
    if any(primitive.get("mode") == _TRIANGLE_FAN for primitive in primitives):
        raise InputError("it has triangle fans, expected triangles or strips of triangles")


def with_plain_positions(document: dict[str, Any], binary: bytes) -> bytes | None:
    """Convert positions that are stored as normalised integers to floating-point numbers.

    A normalised integer c stands for c / m, where m is the largest integer of its type, but for at
    least −1 (glTF 2.0, section 3.11; KHR_mesh_quantization).

    Args:
        document: JSON of a glb file, which this function changes.
        binary: Binary data of the file.

    Returns:
        The changed glb file; None if no position is normalised.
    """
    accessors = document.get("accessors", [])
    positions = {primitive["attributes"]["POSITION"] for primitive in _primitives(document)}
    normalised = sorted(index for index in positions if accessors[index].get("normalized"))
    if not normalised:
        return None
    added = bytearray(binary + bytes(-len(binary) % 4))
    for index in normalised:
        accessor = accessors[index]
        if "sparse" in accessor:
            raise ValueError("a sparse accessor of normalised positions")
        values = _integers(document, accessor, binary)
        numbers = np.maximum(values / np.iinfo(values.dtype).max, -1).astype("<f4").tobytes()
        document["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(added), "byteLength": len(numbers)}
        )
        added += numbers
        accessors[index] = {
            "bufferView": len(document["bufferViews"]) - 1,
            "componentType": 5126,
            "count": len(values),
            "type": "VEC3",
        }
    document["buffers"][0]["byteLength"] = len(added)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(added), b"BIN\0") + added
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _primitives(document: dict[str, Any]) -> list[dict[str, Any]]:
    """List the parts of all meshes that have positions."""
    parts = [part for mesh in document.get("meshes", []) for part in mesh["primitives"]]
    return [part for part in parts if "POSITION" in part["attributes"]]


def _integers(document: dict[str, Any], accessor: dict[str, Any], binary: bytes) -> np.ndarray:
    """Return the integers of an accessor, of shape (count, 3)."""
    view = document["bufferViews"][accessor["bufferView"]]
    if view["buffer"] != 0 or accessor["type"] != "VEC3":
        raise ValueError("normalised positions must be VEC3 in the file's own buffer")
    kind = np.dtype(_INTEGERS[accessor["componentType"]])
    inner = accessor.get("byteOffset", 0)
    stride = view.get("byteStride", 3 * kind.itemsize)
    count = accessor["count"]
    if inner + (count - 1) * stride + 3 * kind.itemsize > view["byteLength"]:
        raise ValueError("an accessor reaches beyond its data")
    start = view.get("byteOffset", 0) + inner
    return np.ndarray((count, 3), kind, binary, start, (stride, kind.itemsize))

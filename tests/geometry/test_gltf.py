"""glb files: required extensions, and quantised positions against the numbers they stand for."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from pcdiff.errors import InputError
from pcdiff.geometry.reading import read_geometry
from tests.geometry.contents import CORNERS, TRIANGLES, glb_of

KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2"}
GRID = (CORNERS / 0.125).astype(np.int64)
"""The corners of the cube, as whole numbers 0 and 1."""

MOVED = CORNERS + np.array([1, 2, 3])


def document(**changes) -> dict:
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        **changes,
    }


def quantised(integers, kind: int, normalised: bool, node: dict) -> bytes:
    """A glb file with integer positions, padded to 4 bytes each, after 8 bytes that nobody uses."""
    width = np.dtype(KINDS[kind]).itemsize
    stride = 3 * width + -3 * width % 4
    rows = np.zeros((len(integers), stride), np.uint8)
    rows[:, : 3 * width] = integers.astype(KINDS[kind]).view(np.uint8).reshape(-1, 3 * width)
    corners = TRIANGLES.astype("<u4").tobytes()
    buffer = bytes(8) + rows.tobytes() + corners
    accessor = {"bufferView": 0, "componentType": kind, "count": 8, "type": "VEC3"}
    views = [
        {"buffer": 0, "byteOffset": 8, "byteLength": rows.size, "byteStride": stride},
        {"buffer": 0, "byteOffset": 8 + rows.size, "byteLength": len(corners)},
    ]
    text = document(
        nodes=[{"mesh": 0, **node}],
        extensionsUsed=["KHR_mesh_quantization"],
        extensionsRequired=["KHR_mesh_quantization"],
        accessors=[
            accessor | ({"normalized": True} if normalised else {}),
            {"bufferView": 1, "componentType": 5125, "count": 36, "type": "SCALAR"},
        ],
        bufferViews=views,
        buffers=[{"byteLength": len(buffer)}],
    )
    return glb_of(json.dumps(text).encode(), buffer)


@pytest.mark.parametrize("kind", KINDS)
def test_quantised_positions(kind, tmp_path):
    """The largest integer stands for 1 if normalised, and for itself if not."""
    largest = np.iinfo(KINDS[kind]).max
    node = {"scale": [0.125] * 3, "translation": [1, 2, 3]}
    path = tmp_path / "a.glb"
    path.write_bytes(quantised(GRID * largest, kind, True, node))
    found = read_geometry(path)
    assert np.allclose(found.vertices, MOVED, rtol=0, atol=1e-6)
    assert np.array_equal(found.faces, TRIANGLES)
    node = {"scale": [0.125 / largest] * 3, "translation": [1, 2, 3]}
    path.write_bytes(quantised(GRID * largest, kind, False, node))
    assert np.allclose(read_geometry(path).vertices, MOVED, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [5120, 5122])
def test_the_smallest_integer_stands_for_minus_one(kind, tmp_path):
    limits = np.iinfo(KINDS[kind])
    path = tmp_path / "a.glb"
    path.write_bytes(quantised(np.where(GRID == 1, limits.max, limits.min), kind, True, {}))
    assert np.array_equal(read_geometry(path).vertices, 2.0 * GRID - 1)


def with_extension(name: str, required: bool) -> bytes:
    """The positions have no data of their own, as in a compressed file."""
    text = document(
        meshes=[
            {
                "primitives": [
                    {"attributes": {"POSITION": 0}, "indices": 1, "extensions": {name: {}}}
                ]
            }
        ],
        accessors=[
            {"componentType": 5126, "count": 8, "type": "VEC3"},
            {"componentType": 5125, "count": 36, "type": "SCALAR"},
        ],
        extensionsUsed=[name],
        **({"extensionsRequired": [name]} if required else {}),
    )
    return glb_of(json.dumps(text).encode())


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("KHR_draco_mesh_compression", "compressed with Draco .KHR_draco_mesh_compression."),
        ("EXT_meshopt_compression", "compressed with meshopt .EXT_meshopt_compression."),
        ("EXT_mesh_of_dreams", "requires the glTF extension EXT_mesh_of_dreams"),
    ],
)
def test_unreadable_extensions_are_named(name, words, required, tmp_path, caplog, capfd):
    path = tmp_path / "a.glb"
    path.write_bytes(with_extension(name, required))
    with pytest.raises(InputError, match=f"a.glb cannot be read: .*{words}"):
        read_geometry(path)
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_extensions_of_materials_are_harmless(tmp_path):
    content = quantised(GRID * 255, 5121, True, {})
    content = content.replace(
        b'"extensionsRequired": ["KHR_mesh_quantization"]',
        b'"extensionsRequired": ["KHR_materials_unlit"]  ',
    )
    path = tmp_path / "a.glb"
    path.write_bytes(content)
    assert np.array_equal(read_geometry(path).vertices, GRID)


def test_triangle_fans_are_refused(tmp_path):
    """trimesh leaves them out without a word."""
    corners = CORNERS.astype("<f4").tobytes()
    text = document(
        meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 6}]}],
        accessors=[{"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3"}],
        bufferViews=[{"buffer": 0, "byteLength": len(corners)}],
        buffers=[{"byteLength": len(corners)}],
    )
    path = tmp_path / "a.glb"
    path.write_bytes(glb_of(json.dumps(text).encode(), corners))
    with pytest.raises(InputError, match="has triangle fans"):
        read_geometry(path)


def test_quantised_positions_beyond_the_data(tmp_path):
    content = quantised(GRID, 5122, True, {})
    path = tmp_path / "a.glb"
    path.write_bytes(content.replace(b'"count": 8,', b'"count": 9,'))
    with pytest.raises(InputError, match="an accessor reaches beyond its data"):
        read_geometry(path)
    length = struct.unpack("<I", content[8:12])[0]
    path.write_bytes(content[: length - 40])
    with pytest.raises(InputError, match="truncated"):
        read_geometry(path)

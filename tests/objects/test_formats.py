"""Loading: the same object through every format, with units, scales and convex parts."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import trimesh

import grasp
from grasp.objects.loading import DEPTH_IMAGES, load_object
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.geometry.reading import READERS
from tests.geometry.contents import lzf_compress
from tests.objects.shapes import bowl, box


def test_the_package_offers_loading_and_objects():
    assert grasp.load_object is load_object
    assert grasp.Object is Object


def test_hash_is_of_the_geometry_in_metres(tmp_path):
    metres, millimetres = tmp_path / "a.off", tmp_path / "b.obj"
    box().mesh().export(metres)
    trimesh.Trimesh(box().vertices * 1024, box().faces, process=False).export(millimetres)
    first, second = load_object(metres), load_object(millimetres, scale=1 / 1024)
    assert first.sha256 == second.sha256 == box().sha256
    assert first.sha256 != box((0.125, 0.25, 0.25)).sha256
    assert len(first.sha256) == 64


@pytest.mark.parametrize("shape", [box, bowl])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.obj", "obj"),
        ("a.stl", "stl"),
        ("a.stl", "stl_ascii"),
        ("a.off", "off"),
        ("a.glb", "glb"),
    ],
)
def test_mesh_through_a_format(name, kind, shape, tmp_path):
    obj = shape()
    path = tmp_path / name
    obj.mesh().export(path, file_type=kind)
    read = load_object(path)
    assert np.array_equal(read.vertices[read.faces], obj.vertices[obj.faces])
    assert (read.name, read.file, read.scale, read.parts) == ("a", str(path), 1.0, None)


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_mesh_through_ply(encoding, tmp_path):
    path = tmp_path / "a.ply"
    path.write_bytes(trimesh.exchange.ply.export_ply(bowl().mesh(), encoding=encoding))
    read = load_object(path)
    assert np.array_equal(read.vertices[read.faces], bowl().vertices[bowl().faces])


def test_mesh_through_dae(tmp_path):
    pytest.importorskip("collada")
    path = tmp_path / "a.dae"
    bowl().mesh().export(path)
    read = load_object(path)
    assert np.array_equal(read.vertices[read.faces], bowl().vertices[bowl().faces])


def test_scene_graph_is_applied(tmp_path):
    turn = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3], [0.1, 0, 0])
    lift = trimesh.transformations.translation_matrix([0.0, 0.25, 0.5])
    scene = trimesh.Scene()
    scene.add_geometry(box().mesh(), node_name="body", transform=turn)
    scene.add_geometry(bowl().mesh(), node_name="lid", parent_node_name="body", transform=lift)
    path = tmp_path / "a.glb"
    scene.export(path)
    read = load_object(path)
    expected = np.vstack(
        [
            trimesh.transform_points(box().vertices, turn)[box().faces].reshape(-1, 3),
            trimesh.transform_points(bowl().vertices, turn @ lift)[bowl().faces].reshape(-1, 3),
        ]
    )
    found = read.vertices[read.faces].reshape(-1, 3)
    # The file may hold its meshes in any order, and holds them in float32.
    order, wanted = (np.lexsort(np.round(rows, 5).T) for rows in (found, expected))
    assert np.allclose(found[order], expected[wanted], atol=2e-7)


CLOUD_NORMALS = np.random.default_rng(1).normal(size=(64, 3))
CLOUD_NORMALS /= np.linalg.norm(CLOUD_NORMALS, axis=1, keepdims=True)
CLOUD_NORMALS = CLOUD_NORMALS.astype(np.float32).astype(np.float64)
CLOUD_POINTS = np.random.default_rng(2).integers(-100, 100, (64, 3)) / 1024
CLOUD = np.hstack([CLOUD_POINTS, CLOUD_NORMALS])


def pcd(encoding: str, body: bytes) -> bytes:
    header = f"""# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z intensity normal_x normal_y normal_z
SIZE 4 4 4 2 4 4 4
TYPE F F F U F F F
COUNT 1 1 1 2 1 1 1
WIDTH 64
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS 64
DATA {encoding}
"""
    return header.encode() + body


def pcd_table() -> np.ndarray:
    row = np.dtype([("p", "<f4", 3), ("i", "<u2", 2), ("n", "<f4", 3)])
    table = np.zeros(64, row)
    table["p"], table["n"], table["i"] = CLOUD_POINTS, CLOUD_NORMALS, 513
    return table


def ply_cloud(order: str) -> bytes:
    names = ["x", "y", "z", "nx", "ny", "nz"]
    encoding = {"": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}[order]
    header = [
        "ply",
        f"format {encoding} 1.0",
        "comment a cloud",
        "element vertex 64",
        *(f"property float {name}" for name in names),
        "property uchar red",
        "end_header\n",
    ]
    if not order:
        rows = [" ".join([*map(repr, row), "255"]) for row in CLOUD.tolist()]
        return "\n".join(header + rows).encode()
    table = np.zeros(64, np.dtype([("v", f"{order}f4", 6), ("red", "u1")]))
    table["v"] = CLOUD
    return "\n".join(header).encode() + table.tobytes()


FIELD_BY_FIELD = b"".join(
    [*(pcd_table()["p"][:, i].tobytes() for i in range(3)), pcd_table()["i"].tobytes()]
    + [pcd_table()["n"][:, i].tobytes() for i in range(3)]
)
PACKED = lzf_compress(FIELD_BY_FIELD)
TEXT = "\n".join(
    " ".join([*map(repr, row[:3]), "513 513", *map(repr, row[3:])]) for row in CLOUD.tolist()
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xyz", "\n".join(" ".join(map(repr, row)) for row in CLOUD.tolist()).encode()),
        (
            "b.xyz",
            b"# x, y, z\n" + "\n".join(",".join(map(repr, r)) for r in CLOUD.tolist()).encode(),
        ),
        ("a.ply", ply_cloud("")),
        ("b.ply", ply_cloud("<")),
        ("c.ply", ply_cloud(">")),
        ("a.pcd", pcd("ascii", TEXT.encode())),
        ("b.pcd", pcd("binary", pcd_table().tobytes())),
        (
            "c.pcd",
            pcd("binary_compressed", struct.pack("<II", len(PACKED), len(FIELD_BY_FIELD)) + PACKED),
        ),
    ],
)
def test_cloud_through_a_format(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    read = load_object(path)
    assert np.array_equal(read.vertices, CLOUD_POINTS)
    assert np.allclose(read.normals, CLOUD_NORMALS, atol=1e-6)


def test_cloud_through_npy(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, CLOUD)
    read = load_object(path)
    assert np.array_equal(read.vertices, CLOUD_POINTS)
    assert np.allclose(read.normals, CLOUD_NORMALS, atol=1e-6)
    np.save(path, (CLOUD_POINTS * 1024).astype(np.int16))
    assert np.array_equal(load_object(path, scale=1 / 1024).vertices, CLOUD_POINTS)


@pytest.mark.parametrize(
    ("unit", "metres"), [("m", 1), ("cm", 0.01), ("mm", 0.001), ("inch", 0.0254)]
)
def test_unit_and_scale_multiply(unit, metres, tmp_path):
    path = tmp_path / "a.off"
    trimesh.Trimesh(box().vertices / metres / 0.5, box().faces, process=False).export(path)
    read = load_object(path, 0.5, unit)
    assert np.allclose(read.vertices, box().vertices, rtol=1e-8)
    assert np.isclose(read.scale, 0.5 * metres, rtol=1e-15)


def test_parts_beside_an_obj(tmp_path):
    path, parts = tmp_path / "a.obj", (box(), box((0.1, 0.1, 0.1), (0.125, 0.0, 0.0)))
    whole = trimesh.util.concatenate([part.mesh() for part in parts])
    trimesh.Trimesh(whole.vertices * 100, whole.faces, process=False).export(path)
    lines, count = ["# two parts"], 0
    for index, part in enumerate(parts):
        lines += [f"o part_{index}"]
        lines += ["v " + " ".join(map(repr, v)) for v in (part.vertices * 100).tolist()]
        lines += [f"f {i} {j} {k}" for i, j, k in (part.faces + 1 + count).tolist()]
        count += len(part.vertices)
    (tmp_path / "a.parts.obj").write_text("\n".join(lines))
    read = load_object(path, unit="cm")
    assert len(read.parts) == 2
    for (vertices, faces), part in zip(read.parts, parts, strict=True):
        assert np.allclose(vertices, part.vertices, atol=1e-15)
        assert np.array_equal(faces, part.faces)


def test_every_ending_is_accepted_in_capitals(tmp_path):
    for ending in (*READERS, *DEPTH_IMAGES):
        with pytest.raises(InputError, match="does not exist"):
            load_object(tmp_path / f"a{ending.upper()}")


def test_a_single_triangle_is_loaded_and_drawn_from(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 3\n")
    points, normals = load_object(tmp_path / "a.obj").surface(100, np.random.default_rng(0))
    assert np.array_equal(normals, np.tile([0.0, 0.0, 1.0], (100, 1)))
    assert (points >= 0).all() and (points[:, :2].sum(axis=1) <= 0.1).all()

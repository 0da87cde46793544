"""Objects: their measures against closed forms, and the same object through every format."""

from __future__ import annotations

import json
import struct

import jaxtyping
import numpy as np
import pytest
import trimesh
from PIL import Image

from grasp.objects.depth import intrinsics_matrix
from grasp.objects.loading import DEPTH_IMAGES, load_object
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.geometry.pcd import lzf_decompress
from pcdiff.geometry.reading import READERS


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def box(sides=(0.125, 0.25, 0.5), corner=(0.0, 0.0, 0.0)) -> Object:
    mesh = trimesh.creation.box(sides)
    vertices = np.asarray(mesh.vertices) + np.array(sides) / 2 + corner
    return Object.from_mesh(vertices, np.asarray(mesh.faces), name="box")


def bowl() -> Object:
    """A thin-walled vessel; its coordinates are multiples of 1/256 and so exact in float32."""
    profile = np.array([[0, 0], [14, 0], [20, 16], [19, 16], [13, 2], [0, 2]]) / 256
    mesh = trimesh.creation.revolve(profile, sections=24)
    vertices = np.round(np.asarray(mesh.vertices) * 256) / 256
    return Object.from_mesh(vertices, np.asarray(mesh.faces), name="bowl")


# --------------------------------------------------------------------------------------- measures


def test_box_is_measured():
    obj = box(corner=(3.0, -2.0, 1.0))
    assert np.allclose(obj.bounds, [[3, -2, 1], [3.125, -1.75, 1.5]], atol=1e-15)
    assert np.allclose(obj.extent, [0.125, 0.25, 0.5], atol=1e-15)
    assert np.allclose(obj.centre, [3.0625, -1.875, 1.25], atol=1e-12)
    assert obj.is_mesh and obj.points is None and obj.normals is None


def test_centre_of_a_closed_mesh_is_the_centre_of_mass():
    corners = np.array([[0, 0, 0], [0.3, 0, 0], [0, 0.2, 0], [0, 0, 0.1]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    assert np.allclose(Object.from_mesh(corners, faces).centre, corners.mean(axis=0), atol=1e-15)
    vessel = bowl()
    assert np.allclose(vessel.centre, vessel.mesh().center_mass, atol=1e-12)


def test_centre_of_an_open_mesh_is_the_mean_of_its_area():
    whole = box((0.2, 0.2, 0.2))
    heights = whole.vertices[whole.faces][:, :, 2]
    open_box = Object.from_mesh(whole.vertices, whole.faces[heights.min(axis=1) < 0.1])
    # Four sides at half the height and a bottom.
    assert np.allclose(open_box.centre, [0.1, 0.1, 4 * 0.1 / 5], atol=1e-15)


def test_centre_of_a_surface_that_crosses_itself_is_inside_its_box():
    # A box, and beside it one inside out and almost as large: as a solid its centre is far away.
    outer, other = box((0.2, 0.2, 0.2)), box((0.19, 0.19, 0.19), (0.5, 0.0, 0.0))
    vertices = np.vstack([outer.vertices, other.vertices])
    both = Object.from_mesh(vertices, np.vstack([outer.faces, other.faces[:, ::-1] + 8]))
    areas = np.array([6 * 0.2**2, 6 * 0.19**2])
    assert both.centre[0] == pytest.approx(areas @ [0.1, 0.595] / areas.sum(), rel=1e-12)


def test_cavity_stays_inside_out():
    outer, inner = box((0.2, 0.2, 0.2)), box((0.1, 0.1, 0.1), (0.05, 0.05, 0.05))
    vertices = np.vstack([outer.vertices, inner.vertices])
    faces = np.vstack([outer.faces, inner.faces[:, ::-1] + len(outer.vertices)])
    for given in (faces, faces[:, ::-1]):
        hollow = Object.from_mesh(vertices, given)
        assert np.isclose(np.linalg.det(hollow.vertices[hollow.faces]).sum() / 6, 0.007)


def without_lid(obj: Object) -> np.ndarray:
    top = obj.vertices[obj.faces][:, :, 2].min(axis=1) > obj.bounds[1, 2] - 1e-9
    return np.array(obj.faces[~top])


def flux(obj: Object) -> float:
    """Of the normals past the centre: above 0 if they point away from it on the whole."""
    triangles = obj.vertices[obj.faces] - obj.bounds.mean(axis=0)
    return float(np.linalg.det(triangles).sum())


@pytest.mark.parametrize("shape", [box, bowl])
def test_open_mesh_is_turned_outside_out(shape, rng):
    obj = shape()
    faces = without_lid(obj)
    assert 0 < len(faces) < len(obj.faces)
    torn = np.where(rng.uniform(size=(len(faces), 1)) < 0.4, faces[:, ::-1], faces)
    expected = Object.from_mesh(obj.vertices, faces)
    for given in (faces, faces[:, ::-1], torn):
        found = Object.from_mesh(obj.vertices + np.array([5.0, 0, 0]), given)
        assert found.sided.all()
        assert np.allclose(found.face_normals, expected.face_normals, atol=1e-6)
    # Those of the whole, which is closed, are outward.
    assert flux(obj) > 0 and flux(expected) > 0


def test_each_piece_of_an_open_mesh_is_turned(rng):
    # A box without a lid, and far above it two sheets that are the sides of a plate.
    whole = box((0.2, 0.2, 0.2))
    square = np.array([[0, 0, 0], [0.2, 0, 0], [0.2, 0.2, 0], [0, 0.2, 0]])
    lower, upper = (square + np.array([0, 0, height]) for height in (1.0, 1.01))
    up = np.array([[0, 1, 2], [0, 2, 3]])
    vertices = np.vstack([whole.vertices, lower, upper])
    pieces = [without_lid(whole), up[:, ::-1] + 8, up + 12]
    expected = np.vstack(pieces)
    for flips in ([1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1], [-1, -1, -1]):
        given = np.vstack([piece[:, ::flip] for piece, flip in zip(pieces, flips, strict=True)])
        found = Object.from_mesh(vertices, given)
        assert found.sided.all()
        turned = np.sort(expected, axis=1), np.sort(found.faces, axis=1)
        assert np.array_equal(*turned)
        normals = Object.from_mesh(vertices, expected).face_normals
        assert np.array_equal(np.sign(found.face_normals.round(9)), np.sign(normals.round(9)))


@pytest.mark.parametrize("turn", [1, -1])
def test_flat_sheet_stays_as_it_is(turn):
    square = np.array([[0, 0, 0], [0.2, 0, 0], [0.2, 0.1, 0], [0, 0.1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])[:, ::turn]
    sheet = Object.from_mesh(square, faces)
    assert not sheet.sided.any()
    assert np.allclose(sheet.face_normals, [0, 0, turn])
    assert box().sided.all()


def test_open_mesh_made_again_is_the_same():
    obj = bowl()
    first = Object.from_mesh(obj.vertices, without_lid(obj)[:, ::-1])
    again = Object.from_mesh(first.vertices, first.faces)
    assert first.sha256 == again.sha256


def test_surface_is_sampled_by_area(rng):
    obj = box()
    count = 20_000
    points, normals = obj.surface(count, rng)
    for axis in range(3):
        others = np.prod(np.delete(obj.extent, axis))
        for side in (0, 1):
            on = np.abs(points[:, axis] - obj.bounds[side, axis]) < 1e-12
            assert np.allclose(normals[on], np.eye(3)[axis] * (2 * side - 1))
            share = others / (2 * (0.125 * 0.25 + 0.25 * 0.5 + 0.5 * 0.125))
            assert abs(on.mean() - share) < 5 * np.sqrt(share * (1 - share) / count)
            # Uniform on the rectangle: the mean and the variance of each coordinate.
            for other in {0, 1, 2} - {axis}:
                unit = points[on, other] / obj.extent[other]
                assert abs(unit.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / on.sum())
                assert abs(unit.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / on.sum())


def test_surface_depends_on_the_generator_alone():
    first, second = (bowl().surface(50, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])


def test_surface_of_a_cloud_is_a_subset(rng):
    points, normals = box().surface(100, rng)
    cloud = Object.from_points(points, normals)
    some, directions = cloud.surface(60, rng)
    assert len(np.unique(some, axis=0)) == 60
    index = [np.flatnonzero((points == point).all(axis=1))[0] for point in some]
    assert np.allclose(directions, normals[index], atol=1e-12)
    assert len(cloud.surface(500, rng)[0]) == 500


def test_cloud_is_measured(rng):
    points = rng.normal(size=(200, 3)) * 0.05
    cloud = Object.from_points(points)
    assert np.array_equal(cloud.points, points)
    assert np.allclose(cloud.centre, points.mean(axis=0), atol=1e-15)
    assert not cloud.is_mesh and cloud.faces is None
    with pytest.raises(InputError, match="is a point cloud, expected a mesh"):
        cloud.mesh()


def test_equal_points_become_one(rng):
    points = rng.normal(size=(50, 3)) * 0.05
    assert np.array_equal(Object.from_points(np.vstack([points, points])).vertices, points)


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        box().vertices[0, 0] = 1


def test_hash_is_of_the_geometry_in_metres(tmp_path):
    metres, millimetres = tmp_path / "a.off", tmp_path / "b.obj"
    box().mesh().export(metres)
    trimesh.Trimesh(box().vertices * 1024, box().faces, process=False).export(millimetres)
    first, second = load_object(metres), load_object(millimetres, scale=1 / 1024)
    assert first.sha256 == second.sha256 == box().sha256
    assert first.sha256 != box((0.125, 0.25, 0.25)).sha256
    assert len(first.sha256) == 64


# ---------------------------------------------------------------------------------------- formats


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


def lzf_compress(data: bytes) -> bytes:
    """A slow and simple LZF: the longest earlier match of 3 to 264 bytes, else a literal."""
    out, position, literals = bytearray(), 0, bytearray()

    def flush() -> None:
        while literals:
            run = literals[:32]
            out.append(len(run) - 1)
            out.extend(run)
            del literals[:32]

    while position < len(data):
        best, distance = 0, 0
        for start in range(max(0, position - 8192), position):
            length = 0
            while (
                length < 264
                and position + length < len(data)
                and data[start + length] == data[position + length]
            ):
                length += 1
            if length > best:
                best, distance = length, position - start
        if best < 3:
            literals.append(data[position])
            position += 1
            continue
        flush()
        high, low = divmod(distance - 1, 256)
        out += bytes([min(best - 2, 7) << 5 | high])
        out += bytes([best - 9]) if best >= 9 else b""
        out += bytes([low])
        position += best
    flush()
    return bytes(out)


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


def test_lzf_copies_that_reach_into_themselves():
    assert lzf_decompress(bytes([0, 97, 0b111_00000, 10, 0]), 20) == b"a" * 20
    assert lzf_decompress(bytes([1, 97, 98, 0b010_00000, 1]), 6) == b"ababab"
    plain = b"grasp " * 200 + bytes(range(256)) + b"grasp"
    assert lzf_decompress(lzf_compress(plain), len(plain)) == plain
    with pytest.raises(ValueError, match="before the beginning"):
        lzf_decompress(bytes([0, 97, 0b010_00000, 1]), 5)


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


# ----------------------------------------------------------------------------------- depth images

CAMERA = {"fx": 60.0, "fy": 50.0, "cx": 8.0, "cy": 6.0}
STEPS = np.random.default_rng(3).integers(400, 600, (12, 16)).astype(np.uint16)
MASK = np.zeros((12, 16), np.uint8)
MASK[2:10, 3:12] = 255


def expected_points(mask: np.ndarray) -> np.ndarray:
    rows = []
    for row in range(12):
        for column in range(16):
            if mask[row, column]:
                z = STEPS[row, column] * 0.001
                rows.append([(column - 8) / 60 * z, (row - 6) / 50 * z, z])
    return np.array(rows)


def test_depth_image_is_back_projected(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(STEPS).save(path)
    Image.fromarray(MASK).save(tmp_path / "mask.png")
    np.save(tmp_path / "mask.npy", MASK > 0)
    (tmp_path / "a.json").write_text(json.dumps(CAMERA | {"depth_unit": "mm"}))
    whole = load_object(path)
    assert np.allclose(whole.vertices, expected_points(np.ones((12, 16))), atol=1e-12)
    assert np.isclose(whole.scale, 0.001)
    # Normals face the camera.
    assert (np.einsum("ni,ni->n", whole.normals, whole.vertices) < 0).all()
    for mask in (tmp_path / "mask.png", str(tmp_path / "mask.npy"), MASK > 0):
        part = load_object(path, mask=mask)
        assert np.allclose(part.vertices, expected_points(MASK), atol=1e-12)


def test_depth_image_takes_camera_and_unit_from_the_call(tmp_path):
    path, camera = tmp_path / "a.png", tmp_path / "camera.json"
    Image.fromarray(STEPS).save(path)
    camera.write_text(json.dumps(CAMERA))
    points = expected_points(np.ones((12, 16)))
    matrix = intrinsics_matrix(**CAMERA)
    assert np.allclose(load_object(path, unit="mm", intrinsics=camera).vertices, points, atol=1e-12)
    assert np.allclose(load_object(path, unit="mm", intrinsics=matrix).vertices, points, atol=1e-12)
    twice = load_object(path, 0.2, "cm", intrinsics=matrix)
    assert np.allclose(twice.vertices, 2 * points, atol=1e-12)


def test_depth_image_as_npz(tmp_path):
    path = tmp_path / "a.npz"
    matrix = intrinsics_matrix(**CAMERA)
    np.savez_compressed(path, depth=STEPS * 0.001, intrinsics=matrix, mask=MASK)
    assert np.allclose(load_object(path).vertices, expected_points(MASK), atol=1e-12)
    np.savez(path, depth=STEPS, intrinsics=matrix)
    whole = expected_points(np.ones((12, 16)))
    assert np.allclose(load_object(path, unit="mm").vertices, whole, atol=1e-12)
    part = load_object(path, unit="mm", mask=MASK > 0)
    assert np.allclose(part.vertices, expected_points(MASK), atol=1e-12)


# ------------------------------------------------------------------------- faces without neighbours


@pytest.mark.parametrize(
    "faces",
    [
        [[0, 1, 2]],
        [[0, 1, 2], [3, 5, 4]],  # no side in common
        np.repeat(box().faces, 2, axis=0).tolist(),  # each side in common to four
    ],
)
def test_faces_without_neighbours_stay_as_they_are(faces):
    made = Object.from_mesh(box().vertices, np.array(faces))
    # The sheets stay as they are; a box whose faces are doubled is outside out already.
    assert np.array_equal(made.vertices[made.faces], box().vertices[np.array(faces)])
    assert not made.sided.any() or len(faces) == 24


def test_a_single_triangle_is_loaded_and_drawn_from(tmp_path, rng):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nf 1 2 3\n")
    points, normals = load_object(tmp_path / "a.obj").surface(100, rng)
    assert np.array_equal(normals, np.tile([0.0, 0.0, 1.0], (100, 1)))
    assert (points >= 0).all() and (points[:, :2].sum(axis=1) <= 0.1).all()


@pytest.fixture
def unchecked():
    """The annotations of shapes are not enforced, as outside of these tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("vertices", "faces", "words"),
    [
        (np.eye(3), np.array([[0, 1, 2, 0]]), r"triangles .* got int64 of shape \(1, 4\)"),
        (np.eye(3), np.array([[0.0, 1.0, 2.9]]), "whole numbers .* got float64"),
        (np.eye(3), np.array([0, 1, 2]), r"shape \(3,\)"),
        (np.eye(3)[:, :2], np.array([[0, 1, 2]]), r"vertex positions .* of shape \(3, 2\)"),
        (np.array([["a", "b", "c"]] * 3), np.array([[0, 1, 2]]), "vertex positions as numbers"),
    ],
)
def test_arrays_that_are_no_mesh(vertices, faces, words, unchecked):
    with pytest.raises(InputError, match=words):
        Object.from_mesh(vertices, faces)


def test_arrays_that_are_no_cloud(unchecked, rng):
    points = rng.normal(size=(20, 3))
    with pytest.raises(InputError, match=r"point positions .* got float64 of shape"):
        Object.from_points(points[:, :2])
    with pytest.raises(InputError, match="one normal a point"):
        Object.from_points(points, points[:5])

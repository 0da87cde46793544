"""Objects from memory equal objects from files, and fail with the same sentences."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest
import torch
import trimesh

from grasp.objects.loading import load_object
from grasp.objects.object import Object
from pcdiff.errors import InputError

BOX = trimesh.creation.box((0.03, 0.04, 0.12))
CLOUD = np.random.default_rng(0).uniform(0, 0.1, (100, 3))
NORMALS = np.tile([0.0, 0.0, 1.0], (100, 1))


class TriangleMesh:
    """What open3d.geometry.TriangleMesh has that is read."""

    __module__ = "open3d.cpu.pybind.geometry"
    vertices, triangles = BOX.vertices.tolist(), BOX.faces.tolist()


class PointCloud:
    """What open3d.geometry.PointCloud has that is read."""

    __module__ = "open3d.cpu.pybind.geometry"
    points = CLOUD.tolist()

    def __init__(self, normals=None):
        self.normals = [] if normals is None else normals.tolist()

    def has_normals(self):
        return bool(self.normals)


class OnDevice:
    """A tensor-based mesh of open3d, and a user's own class that is derived from it."""

    __module__ = "open3d.cpu.pybind.t.geometry"

    def to_legacy(self):
        return TriangleMesh()


Tensors = type("TriangleMesh", (OnDevice,), {"__module__": OnDevice.__module__})
Derived = type("Mine", (Tensors,), {"__module__": "mine"})


def in_centimetres():
    mesh = BOX.copy()
    mesh.apply_scale(100)
    mesh.units = "centimeters"
    return mesh


def placed():
    """The box in two parts of a scene, one of them moved by the scene graph."""
    half = trimesh.creation.box((0.03, 0.04, 0.06))
    scene = trimesh.Scene()
    for shift in (-0.03, 0.03):
        scene.add_geometry(
            half, transform=trimesh.transformations.translation_matrix([0, 0, shift])
        )
    return scene


@pytest.mark.parametrize(
    "given",
    [BOX, TriangleMesh(), Tensors(), Derived(), in_centimetres(), trimesh.Scene([BOX])],
    ids=["trimesh", "open3d", "open3d tensors", "derived", "with a unit", "scene"],
)
def test_a_mesh_in_memory_is_the_mesh_in_a_file(given, tmp_path):
    BOX.export(tmp_path / "box.off", digits=12)
    found, expected = load_object(given), load_object(tmp_path / "box.off")
    np.testing.assert_allclose(found.vertices[found.faces], expected.vertices[expected.faces])
    assert (found.name, found.file) == ("object", None)


def test_the_transforms_of_a_scene_are_applied():
    np.testing.assert_allclose(load_object(placed()).bounds, BOX.bounds, atol=1e-12)


def test_scale_and_unit_count_as_for_files():
    found = load_object(in_centimetres(), 0.5)
    np.testing.assert_allclose(found.extent, [0.015, 0.02, 0.06])
    assert found.scale == 0.005
    np.testing.assert_allclose(load_object(in_centimetres(), unit="mm").extent, [3e-3, 4e-3, 12e-3])
    np.testing.assert_allclose(load_object(CLOUD * 100, unit="cm").vertices, CLOUD)


@pytest.mark.parametrize(
    "given",
    [CLOUD, CLOUD.astype(">f8"), torch.tensor(CLOUD), PointCloud(), trimesh.PointCloud(CLOUD)],
    ids=["array", "big-endian", "tensor", "open3d", "trimesh"],
)
def test_points_in_memory_are_the_points_of_a_file(given, tmp_path):
    np.save(tmp_path / "cloud.npy", CLOUD)
    expected = load_object(tmp_path / "cloud.npy")
    found = load_object(given)
    np.testing.assert_array_equal(found.vertices, expected.vertices)
    np.testing.assert_array_equal(found.normals, expected.normals)
    assert found.sha256 == expected.sha256


def test_normals_are_taken_where_they_are_stated():
    both = np.hstack([CLOUD, NORMALS])
    for found in (load_object(both, normals=True), load_object(PointCloud(NORMALS))):
        np.testing.assert_array_equal(found.vertices, CLOUD)
        np.testing.assert_array_equal(found.normals, NORMALS)
    assert (load_object(CLOUD, viewpoint=np.array([0, 0, 9.0])).normals[:, 2] > 0).mean() > 0.5


def test_what_is_not_finite_is_left_out_with_a_remark(tmp_path):
    cloud = np.vstack([CLOUD, [[np.nan, 0, 0]]])
    np.save(tmp_path / "cloud.npy", cloud)
    found, expected = load_object(cloud), load_object(tmp_path / "cloud.npy")
    np.testing.assert_array_equal(found.vertices, expected.vertices)
    assert found.remarks == ("the object: left out 1 of 101 points: not finite",)
    assert repr(found).endswith("m; the object: left out 1 of 101 points: not finite)")


def test_the_given_arrays_stay_as_they_are():
    cloud = CLOUD.copy()
    found = load_object(cloud)
    cloud[:] = 0
    np.testing.assert_array_equal(found.vertices, CLOUD)
    assert not BOX.vertices.flags["WRITEABLE"] or load_object(BOX).vertices is not BOX.vertices


BROKEN = {
    "six columns": (np.hstack([CLOUD, NORMALS]), {}, "needs the statement normals=True"),
    "three columns": (CLOUD, {"normals": True}, r"must have shape \(n, 6\).*got shape \(100, 3\)"),
    "four columns": (
        np.ones((9, 4)),
        {},
        r"numbers of shape \(n, 3\).*got float64 of shape \(9, 4",
    ),
    "words": (np.full((9, 3), "x"), {}, "must contain numbers of shape"),
    "objects": (np.full((9, 3), None), {}, "must contain numbers of shape"),
    "no points": (np.empty((0, 3)), {}, "has 0 different points"),
    "NaN": (CLOUD * np.nan, {}, "the object has a coordinate that is not finite in all 100 points"),
    "long normals": (np.hstack([CLOUD, NORMALS * 3]), {"normals": True}, "for 100 of 100 normals"),
    "millimetres": (CLOUD * 1000, {}, "object would be 99.* m long.* its unit is probably mm"),
    "a mesh of nothing": (trimesh.Trimesh(), {}, "mesh without faces"),
    "a mesh with normals": (BOX, {"normals": True}, "array of points and normals, got Trimesh"),
    "a mask": (CLOUD, {"mask": np.ones((2, 2), bool)}, "a ndarray is not a depth image"),
    "gradients": (torch.ones(9, 3, requires_grad=True), {}, "must convert to a numpy array"),
    "a list": ([[0.0, 0.0, 0.0]], {}, "an object must be a path, an array .* got list"),
    "an object": (load_object(BOX), {}, "an object must be a path, an array .* got Object"),
    "nothing": (None, {}, "an object must be a path, an array .* got NoneType"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_used_is_refused_in_one_sentence(case, monkeypatch):
    # Users run without the checks of annotated shapes, which would fail first here.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    given, arguments, words = BROKEN[case]
    with pytest.raises(InputError, match=words) as caught:
        load_object(given, **arguments)
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)


def test_an_unknown_unit_of_a_mesh_is_refused():
    mesh = BOX.copy()
    mesh.units = "furlongs"
    with pytest.raises(
        InputError, match=r"the unit of a trimesh Trimesh must be .* got 'furlongs'"
    ):
        load_object(mesh)


def test_a_file_takes_no_statement_about_columns(tmp_path):
    np.save(tmp_path / "cloud.npy", CLOUD)
    assert len(load_object(tmp_path / "cloud.npy", normals=False).vertices) == len(CLOUD)
    for given in (tmp_path / "cloud.npy", CLOUD):
        with pytest.raises(TypeError, match="unexpected keyword argument 'normal'"):
            load_object(given, normal=True)
    with pytest.raises(InputError, match="normals=True applies to arrays"):
        load_object(tmp_path / "cloud.npy", normals=True)


def test_an_object_has_a_short_repr():
    assert repr(load_object(BOX)) == "Object(object, mesh of 12 faces, 0.03 x 0.04 x 0.12 m)"
    assert repr(Object.from_points(CLOUD, name="scan")).startswith("Object(scan, cloud of 100 poi")

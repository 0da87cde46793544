"""Points against the surfaces that they are drawn from, and meshes from good and bad files."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy import stats

from pcdiff.clouds.conversion.surfaces import read_mesh, sample_surface
from pcdiff.errors import InputError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_points_lie_on_the_faces_of_a_cube():
    points = sample_surface(trimesh.creation.box([2, 2, 2]), 500, rng())
    assert points.dtype == np.float32
    assert np.array_equal(np.abs(points).max(axis=1), np.ones(500))


def test_triangles_are_drawn_in_proportion_to_their_areas():
    """The areas are 1 and 3, so the count on the first is binomial with p = 1/4."""
    vertices = [[0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 5], [2, 0, 5], [0, 3, 5]]
    mesh = trimesh.Trimesh(vertices, [[0, 1, 2], [3, 4, 5]], process=False)
    points = sample_surface(mesh, 4000, rng())
    assert stats.binomtest(int((points[:, 2] == 0).sum()), 4000, 0.25).pvalue > 1e-3


def test_points_are_uniform_within_a_triangle():
    """The three corner triangles and the middle one of a triangle are equally likely."""
    mesh = trimesh.Trimesh([[0, 0, 0], [4, 1, 0], [1, 3, 2]], [[0, 1, 2]], process=False)
    weights = trimesh.triangles.points_to_barycentric(
        np.repeat(mesh.triangles, 4000, axis=0), sample_surface(mesh, 4000, rng())
    )
    corners = (weights > 0.5).sum(axis=0)
    assert stats.chisquare([*corners, 4000 - corners.sum()]).pvalue > 1e-3


def test_the_generator_decides():
    cube = trimesh.creation.box()
    assert np.array_equal(sample_surface(cube, 9, rng(1)), sample_surface(cube, 9, rng(1)))
    assert not np.array_equal(sample_surface(cube, 9, rng(1)), sample_surface(cube, 9, rng(2)))


SQUARE = "0 0 0\n2 0 0\n2 2 0\n0 2 0\n"


@pytest.mark.parametrize(
    "text",
    [
        f"OFF\n4 2 0\n{SQUARE}3 0 1 2\n3 0 2 3\n",
        f"OFF 4 2 0\n{SQUARE}3 0 1 2\n3 0 2 3\n",
        f"OFF4 2 0\n{SQUARE}3 0 1 2\n3 0 2 3\n",
        f"OFF4 1 0\n{SQUARE}4 0 1 2 3\n",
        f"OFF4 1 0\r\n{SQUARE}4 0 1 2 3\r\n",
    ],
    ids=["newline", "space", "nothing", "quadrilateral", "carriage-return"],
)
def test_off_headers(tmp_path, text):
    (tmp_path / "a.off").write_bytes(text.encode())
    mesh, _ = read_mesh(tmp_path / "a.off")
    assert mesh.area == 4
    assert mesh.bounds.tolist() == [[0, 0, 0], [2, 2, 0]]


def test_obj_with_groups_materials_and_quadrilaterals(tmp_path):
    (tmp_path / "a.obj").write_text(
        "mtllib missing.mtl\nv 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\nv 0 0 3\nvt 0 0\n"
        "g seat\nusemtl red\nf 1/1 2/1 3/1 4/1\ng back\nusemtl blue\nf 1 2 5\n"
    )
    assert read_mesh(tmp_path / "a.obj")[0].area == 4 + 3


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.off", "", "is empty"),
        ("a.off", "hello", "is not an OFF file"),
        ("a.off", "OFF\n4 1 0\n0 0 0\n1 0 0\n", "truncated"),
        ("a.off", f"OFF\n4 2 0\n{SQUARE}3 0 1 2\n", "truncated"),
        ("a.off", f"OFF\n4 1 0\n{SQUARE}", "truncated"),
        ("a.off", f"OFF\n4 0 0\n{SQUARE}", "without faces"),
        ("a.off", f"OFF\n4 1 0\n{SQUARE}3 0 1 9\n", "a vertex that does not exist"),
        ("a.obj", "", "is empty"),
        ("a.obj", "# nothing\n", "without faces"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "without faces"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "without area"),
        ("a.obj", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ("a.obj", "v 0 0 x\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "damaged in line 1, 'v 0 0 x'"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "a vertex that does not exist"),
        ("a.xyz", "0 0 0\n1 0 0\n", "is a point cloud, expected a mesh"),
        ("a.txt", "hello", "has no points, expected lines with the numbers"),
        ("a.3mf", "hello", "cannot be read as a mesh"),
    ],
)
def test_a_bad_mesh_is_refused_by_name(tmp_path, name, text, reason):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_mesh(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and reason in message
    assert "\n" not in message and ". " not in message


def test_a_missing_mesh(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_mesh(tmp_path / "a.obj")


def test_a_format_that_only_trimesh_reads(tmp_path):
    path = tmp_path / "a.gltf"
    content = trimesh.exchange.gltf.export_gltf(
        trimesh.Scene(trimesh.creation.box([2, 2, 2])), merge_buffers=True
    )
    for name, data in content.items():
        (tmp_path / name.replace("model", "a")).write_bytes(data)
    assert read_mesh(path)[0].area == pytest.approx(24)

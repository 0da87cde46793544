"""Files of one cloud: exact round trips, files of other programs, and files to refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from pcdiff.clouds.files import load_cloud, save_cloud
from pcdiff.errors import InputError

# Numbers that a careless text format loses: long fractions, subnormal, tiny, huge, minus zero.
NASTY = torch.tensor(
    [[1 / 3, -2 / 7, 1e-42], [1.1754944e-38, 3.4e38, -1e30], [16777215.0, 0.1, -0.0]]
)


def refusal(call, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message and ". " not in message
    return message


@pytest.mark.parametrize("suffix", [".ply", ".xyz", ".npy", ".PLY"])
def test_round_trips_are_exact(tmp_path, suffix):
    path = tmp_path / f"cloud{suffix}"
    save_cloud(path, NASTY)
    read = load_cloud(path)
    assert read.dtype == torch.float32
    assert np.array_equal(read.numpy().view(np.int32), NASTY.numpy().view(np.int32))
    read += 1  # the caller's own memory, not the file's
    assert torch.equal(load_cloud(path), NASTY)


def test_other_programs_read_what_is_saved(tmp_path):
    for suffix in (".ply", ".xyz", ".npy"):
        save_cloud(tmp_path / f"a{suffix}", NASTY)
    assert np.array_equal(trimesh.load(tmp_path / "a.ply").vertices, NASTY.double())
    assert np.array_equal(np.loadtxt(tmp_path / "a.xyz", dtype=np.float32), NASTY)
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), NASTY)


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_ply_of_another_program_with_colours(tmp_path, encoding):
    points = np.array([[0.5, 1, 2], [3, -4.25, 5], [6, 7, 8]])
    colours = np.full((3, 4), 200, np.uint8)
    path = tmp_path / "a.ply"
    path.write_bytes(
        trimesh.PointCloud(points, colors=colours).export(file_type="ply", encoding=encoding)
    )
    assert load_cloud(path).tolist() == points.tolist()


def test_ply_with_double_coordinates_and_other_properties(tmp_path):
    path = tmp_path / "a.ply"
    path.write_text(
        "ply\nformat ascii 1.0\ncomment x\nelement vertex 2\nproperty double x\nproperty double y\n"
        "property double z\nproperty float nx\nelement face 0\n"
        "property list uchar int vertex_indices\nend_header\n1 2 3 9\n4 5 6 9\n"
    )
    assert load_cloud(path).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_xyz_with_comments_colours_and_blank_lines(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("# x y z r g b\n1 2 3 255 0 0\n\n4 5 6 0 255 0\n")
    assert load_cloud(path).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("columns", [4, 6, 7])
def test_columns_after_the_third_are_ignored(tmp_path, columns):
    table = np.arange(3.0 * columns).reshape(3, columns)
    np.savetxt(tmp_path / "spaces.xyz", table)
    np.savetxt(tmp_path / "commas.xyz", table, delimiter=",")
    np.save(tmp_path / "a.npy", table[:, [0, 1, 2, 2, 1, 0]])
    for name in ("spaces.xyz", "commas.xyz", "a.npy"):
        assert load_cloud(tmp_path / name).tolist() == table[:, :3].tolist()


@pytest.mark.parametrize(
    "array", [np.arange(12).reshape(4, 3), np.asfortranarray(np.arange(12.0).reshape(4, 3))]
)
def test_npy_of_other_types_and_orders(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    assert load_cloud(tmp_path / "a.npy").tolist() == array.tolist()


def test_a_mesh_is_refused_with_advice(tmp_path):
    path = tmp_path / "a.ply"
    trimesh.creation.box().export(path)
    assert refusal(load_cloud, path) == (
        f"{path} is a mesh, expected a point cloud: choose points on its surface first"
    )


ENDINGS = ".ply, .pcd, .xyz, .txt, .pts, .csv, .asc, .npy"


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones((1, 3)), "has 1 points, expected at least 2"),
        (np.ones((0, 3)), "has 0 points, expected at least 2"),
        (
            np.ones((4, 2)),
            "must contain numbers of shape (n, 3), or (n, 6) with normals",
        ),
        (np.ones((2, 4, 3)), "got float64 of shape (2, 4, 3)"),
        (np.array([[0, 0, 0], [1, np.nan, 0]]), "left out 1 of 2 points: not finite"),
        (np.array([[0, 0, np.inf], [1, np.nan, 0]]), "not finite in all 2 points"),
        (np.array([[0, 0, 1e300], [1, 1, 0]]), "not finite in point 0"),
        (np.array([["a", "b", "c"]] * 2), "must contain numbers of shape (n, 3)"),
        (np.array([[{}, {}, {}]] * 2, dtype=object), "Python objects"),
    ],
)
def test_bad_arrays(tmp_path, array, reason):
    path = tmp_path / "a.npy"
    np.save(path, array, allow_pickle=True)
    message = refusal(load_cloud, path)
    assert str(path) in message and reason in message


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.xyz", "", "is empty"),
        ("a.xyz", "# nothing\n", "has no points"),
        ("a.xyz", "1 2 3\n", "has 1 points, expected at least 2"),
        ("a.xyz", "1 2\n3 4\n", "in line 1, '1 2': expected at least 3 numbers, got 2"),
        ("a.xyz", "2\nwater\nO 0 0 0\nH 1 0 0\n", "promises 2 points, but 0 points follow"),
        ("a.xyz", "1 2 3\n4 5 nan\n", "has 1 points, expected at least 2; "),
        ("a.xyz", "1 2 3\n4 5\n", "in line 2, '4 5': expected at least 3 numbers, got 2"),
        ("a.xyz", "1 2 3\n4 5 6 7\n", "expected 3 numbers as in the first row, got 4"),
        ("a.xyz", "1 2 3 red\n4 5 6 red\n", "damaged in line 1, '1 2 3 red'"),
        ("a.npy", "hello", "is not a .npy file"),
        ("a.npy", "", "is empty"),
        ("a.ply", "hello", "is not a PLY file"),
        ("a.ply", "", "is empty"),
        ("a.obj", "v 1 2 3\nv 4 5 6\n", f"expected the extension {ENDINGS}"),
        ("cloud", "1 2 3\n4 5 6\n", f"expected the extension {ENDINGS}"),
    ],
)
def test_bad_files(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_text(content)
    message = refusal(load_cloud, path)
    assert str(path) in message and reason in message


@pytest.mark.parametrize("suffix", [".ply", ".npy"])
def test_truncated_files(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save_cloud(path, NASTY)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert str(path) in refusal(load_cloud, path)


def test_missing_files_and_folders(tmp_path):
    missing, folder = tmp_path / "a.ply", tmp_path / "b.npy"
    folder.mkdir()
    assert refusal(load_cloud, missing) == f"{missing} does not exist"
    assert refusal(load_cloud, folder) == f"{folder} is not a file"


@pytest.mark.parametrize(
    ("name", "cloud"),
    [
        ("a.obj", NASTY),
        ("a.ply", NASTY[:1]),
        ("a.ply", torch.full((2, 3), torch.nan)),
        ("a.npy", NASTY.double() * 10),
    ],
)
def test_nothing_is_saved_of_what_could_not_be_loaded(tmp_path, name, cloud):
    assert str(tmp_path / name) in refusal(save_cloud, tmp_path / name, cloud)
    assert list(tmp_path.iterdir()) == []


def test_a_small_cloud_far_from_its_origin_is_not_rounded_silently(tmp_path, generator):
    cloud = torch.rand((300, 3), generator=generator, dtype=torch.float64).numpy() * 0.06
    np.save(tmp_path / "near.npy", cloud + 1)
    np.save(tmp_path / "far.npy", cloud + 1e6)
    np.testing.assert_allclose(load_cloud(tmp_path / "near.npy"), cloud + 1, rtol=1e-7)
    assert "subtract the centre of the cloud first" in refusal(load_cloud, tmp_path / "far.npy")


def test_a_ply_of_triangle_strips_is_a_mesh_too(tmp_path):
    (tmp_path / "strips.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nelement tristrips 1\nproperty list int int vertex_indices\nend_header\n"
        "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    )
    assert "is a mesh" in refusal(load_cloud, tmp_path / "strips.ply")

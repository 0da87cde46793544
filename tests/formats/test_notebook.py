"""Grasps as a sequence, as a data frame, and as they look in a notebook."""

from __future__ import annotations

import base64
import dataclasses
import io
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation
from trimesh.creation import box

from grasp import pictures
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.formats.notebook import ROWS
from grasp.objects.object import Object
from pcdiff.errors import InputError

COUNT = 8


@pytest.fixture
def obj():
    mesh = box((0.03, 0.04, 0.12))
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), name="a <b>")


@pytest.fixture
def grasps(rng):
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    poses[:, :3, :3] = Rotation.random(COUNT, rng=rng).as_matrix()
    poses[:, :3, 3] = rng.uniform(-0.1, 0.1, (COUNT, 3))
    return Grasps(
        poses,
        gripper="panda",
        object_file="box.obj",
        success_probability=np.linspace(0.95, 0.6, COUNT),
        width=np.linspace(0.01, 0.04, COUNT),
        in_collision=np.arange(COUNT) > 5,
        failure=np.array(["", "slipped"] * (COUNT // 2)),
    )


def test_a_single_grasp_has_the_entries_of_its_row(grasps):
    last = grasps[-1]
    np.testing.assert_array_equal(last.pose, grasps.poses[7])
    assert (last.gripper, last.success_probability, last.width) == ("panda", 0.6, 0.04)
    assert last.in_collision is True and last.failure == "slipped"
    assert last.energy is None and last.success is None
    assert type(grasps[np.int64(0)].success_probability) is float
    assert [each.width for each in grasps] == grasps.width.tolist()
    for index in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError):
            grasps[index]


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (slice(2, 5), [2, 3, 4]),
        (slice(None, None, -1), list(range(COUNT))[::-1]),
        ([3, -1], [3, 7]),
        (np.array([5, 5]), [5, 5]),
        (np.arange(COUNT) % 3 == 0, [0, 3, 6]),
        ([True] + [False] * (COUNT - 1), [0]),
        ([], []),
    ],
)
def test_parts_are_grasps(grasps, index, rows):
    found = grasps[index]
    assert isinstance(found, Grasps) and len(found) == len(rows)
    np.testing.assert_array_equal(found.poses, grasps.poses[rows])
    np.testing.assert_array_equal(found.failure, grasps.failure[rows])
    assert found.gripper == "panda"


@pytest.mark.parametrize("wrong", [np.ones(COUNT + 1, bool), [0.5], [COUNT]])
def test_what_selects_no_grasps_is_an_index_error(grasps, wrong):
    with pytest.raises(IndexError):
        grasps[wrong]


def test_reprs_are_short(grasps):
    assert repr(grasps) == (
        "Grasps(8 of box.obj for panda; probability 0.60 to 0.95; 2 in collision)"
    )
    place = ", ".join(f"{metres:.3f}" for metres in grasps.poses[7, :3, 3])
    assert repr(grasps[7]) == (
        f"Grasp(panda at {place} m; probability 0.60; opening 40 mm; in collision)"
    )
    nothing = Grasps(np.empty((0, 4, 4)), reason="it is too wide")
    assert repr(nothing) == "Grasps(0; reason: it is too wide)"
    tried = dataclasses.replace(grasps, success=grasps.failure == "", in_collision=None)
    assert "; 4 hold)" in repr(tried) and "fails: slipped" in repr(tried[1])


def test_a_data_frame_has_a_row_per_grasp(grasps):
    pandas = pytest.importorskip("pandas")
    frame = grasps.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert [*frame.columns] == [
        "x", "y", "z", "qx", "qy", "qz", "qw",
        "success_probability", "width", "in_collision", "failure",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame[["x", "y", "z"]], grasps.poses[:, :3, 3])
    turns = Rotation.from_quat(frame[["qx", "qy", "qz", "qw"]].to_numpy()).as_matrix()
    np.testing.assert_allclose(turns, grasps.poses[:, :3, :3], atol=1e-12)
    assert frame["failure"].tolist() == grasps.failure.tolist()
    assert len(grasps[:0].to_dataframe()) == 0


def test_without_pandas_the_error_names_it(grasps, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="needs the package pandas, which is not installed"):
        grasps.to_dataframe()


def test_a_notebook_shows_a_table(grasps):
    shown = dataclasses.replace(grasps, reason="<few>")._repr_html_()
    assert shown.count("<tr>") == 1 + ROWS + 1  # headings, grasps, and a row with an ellipsis
    assert "<td>0.95</td><td>0.010</td><td>False</td><td></td>" in shown
    assert "reason: &lt;few&gt;" in shown and "<img" not in shown
    assert grasps[:2]._repr_html_().count("<tr>") == 3
    assert "<table" not in grasps[:0]._repr_html_()


def test_a_notebook_shows_a_picture_if_the_object_is_known(grasps, obj, panda, monkeypatch):
    drawn = []

    def draw(obj, hand, poses, *, colours, settings):
        drawn.append((poses, colours, settings.width * settings.height * settings.samples))
        return np.full((3, 2, 3), 7, np.uint8)

    monkeypatch.setattr("grasp.pictures.draw_grasps", draw)
    known = dataclasses.replace(grasps, obj=obj, hand=panda)
    shown = known[:3]._repr_html_()  # parts know the object, too
    data = shown.partition("base64,")[2].partition('"')[0]
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (2, 3) and image.getpixel((0, 0)) == (7, 7, 7)
    poses, colours, rays = drawn.pop()
    np.testing.assert_array_equal(poses, grasps.poses[:3])
    expected = pictures.probability_colours(grasps.success_probability[:3])
    np.testing.assert_array_equal(colours, expected)
    assert rays < 300_000
    assert "a &lt;b&gt;" in shown
    many = known[np.arange(100) % COUNT]
    many._repr_html_()
    assert len(drawn.pop()[0]) == 12
    labelled = dataclasses.replace(known, success=np.arange(COUNT) < 4)
    labelled._repr_html_()
    np.testing.assert_array_equal(drawn.pop()[1], pictures.outcome_colours(labelled.success))
    assert "<img" not in known[:0]._repr_html_()


def test_a_huge_object_is_not_drawn(grasps, obj, panda, monkeypatch):
    monkeypatch.setattr("grasp.formats.notebook.MOST_DETAIL", len(obj.vertices) - 1)
    shown = dataclasses.replace(grasps, obj=obj, hand=panda)._repr_html_()
    assert "too detailed" in shown and "<img" not in shown


def test_a_real_picture_shows_object_and_hands(grasps, obj, panda):
    shown = dataclasses.replace(grasps, obj=obj, hand=panda)._repr_html_()
    data = base64.b64decode(shown.partition("base64,")[2].partition('"')[0])
    assert len(data) < 100_000
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (420, 320)
        assert len(set(image.convert("L").tobytes())) > 50  # shaded, not empty


def test_files_do_not_contain_the_object(grasps, obj, panda, tmp_path):
    known = dataclasses.replace(grasps, obj=obj, hand=panda, remedies=("scale",))
    write_grasps(tmp_path / "g.json", known)
    found = read_grasps(tmp_path / "g.json")
    assert (found.obj, found.hand, found.remedies) == (None, None, ())

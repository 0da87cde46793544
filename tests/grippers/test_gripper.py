"""Gripper files: shipped ones against hand-computed numbers, broken ones against their messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from grasp import GraspField
from grasp.grippers.gripper import SHIPPED, Gripper, load_gripper
from grasp.objects.object import Object
from pcdiff.errors import InputError

SMALL = """\
name = "small"
stroke = 0.06
max_force = 30.0
mass = 0.4
tool_center_point = [0.0, 0.0, 0.1]

[[hand]]
centre = [0.0, 0.0, 0.025]
half_extents = [0.05, 0.03, 0.025]

[finger]
pad = [0.09, 0.11]
[[finger.boxes]]
centre = [0.005, 0.001, 0.08]
half_extents = [0.005, 0.01, 0.03]
"""


def _load(folder: Path, text: str) -> Gripper:
    path = folder / "g.toml"
    path.write_text(text)
    return load_gripper(path)


@pytest.mark.parametrize("name", ["panda", "robotiq_2f_85", "robotiq_2f_140"])
def test_shipped_grippers_have_pads_that_meet_at_the_tool_centre_point(name: str) -> None:
    gripper = load_gripper(name)
    assert gripper.name == name
    begin, end = gripper.pad
    assert gripper.tool_center_point == pytest.approx([0, 0, (begin + end) / 2])
    # The fingertip ends where the pad ends, and no box of the hand reaches between the pads.
    assert max(b.centre[2] + b.half_extents[2] for b in gripper.finger_boxes) == pytest.approx(end)
    assert all(b.centre[2] + b.half_extents[2] < begin for b in gripper.hand_boxes)


def test_all_shipped_files_are_tested() -> None:
    shipped = {path.stem for path in SHIPPED.glob("*.toml")}
    assert shipped == {"panda", "robotiq_2f_85", "robotiq_2f_140"}


def test_shipped_weights_accept_the_shipped_grippers() -> None:
    """Weights store the digest of every gripper that they were trained on, random jaws included."""
    field = GraspField.from_pretrained("panda")
    points = np.random.default_rng(0).normal(0, 0.03, (400, 3))
    obj = Object.from_points(points, points / np.linalg.norm(points, axis=1, keepdims=True))
    for path in SHIPPED.glob("*.toml"):
        assert field.config.grippers[path.stem] == load_gripper(path).sha256
        field.condition(obj, path.stem)


def test_control_points_of_older_files_are_ignored(tmp_path: Path) -> None:
    entry = "control_points = [[0.0, 0.0, 0.0], [0.03, 0.0, 0.11]]\n\n[[hand]]"
    older = _load(tmp_path, SMALL.replace("[[hand]]", entry))
    assert older.sha256 == _load(tmp_path, SMALL).sha256


def test_tool_points_and_poses(tmp_path: Path) -> None:
    gripper = _load(tmp_path, SMALL)
    poses = np.tile(np.eye(4), (2, 3, 1, 1))
    poses[..., :3, :3] = Rotation.random(6, rng=0).as_matrix().reshape(2, 3, 3, 3)
    poses[..., :3, 3] = np.random.default_rng(0).normal(size=(2, 3, 3))
    homogeneous = poses @ np.array([*gripper.tool_center_point, 1.0])
    points, moved = gripper.tool_points(poses), gripper.tool_poses(poses)
    np.testing.assert_allclose(points, homogeneous[..., :3], atol=1e-15)
    np.testing.assert_array_equal(moved[..., :3, 3], points)
    np.testing.assert_array_equal(moved[..., :3, :3], poses[..., :3, :3])
    tensors = torch.from_numpy(poses)
    np.testing.assert_allclose(gripper.tool_points(tensors).numpy(), points, atol=1e-15)
    np.testing.assert_allclose(gripper.tool_poses(tensors).numpy(), moved, atol=1e-15)
    assert gripper.tool_points(tensors.float()).dtype == torch.float32
    np.testing.assert_array_equal(tensors.numpy(), poses)


def test_the_franka_hand() -> None:
    panda = load_gripper("panda")
    assert panda.stroke == 0.08
    assert panda.tool_center_point.tolist() == [0, 0, 0.1034]
    assert panda.pad[1] == 0.1122
    # The finger of ACRONYM's collision mesh: 0.0585 to 0.1122 along z and 21 mm wide.
    assert panda.finger_length == pytest.approx(0.0537, abs=1e-9)
    assert panda.finger_width == pytest.approx(0.021, abs=1e-9)
    assert panda.finger_depth == pytest.approx(0.0264, abs=1e-9)


def test_boxes_at_an_opening(tmp_path: Path) -> None:
    gripper = _load(tmp_path, SMALL)
    hand, right, left = gripper.boxes(0.04)
    assert hand.centre.tolist() == [0, 0, 0.025]
    assert right.centre == pytest.approx([0.025, 0.001, 0.08])
    assert left.centre == pytest.approx([-0.025, 0.001, 0.08])
    assert right.half_extents.tolist() == left.half_extents.tolist() == [0.005, 0.01, 0.03]


def test_mesh_is_the_boxes(tmp_path: Path) -> None:
    import trimesh

    vertices, faces = _load(tmp_path, SMALL).mesh(0.06)
    parts = trimesh.Trimesh(vertices, faces).split()
    # Inward-facing triangles would make a volume negative.
    volumes = [0.1 * 0.06 * 0.05, 0.01 * 0.02 * 0.06, 0.01 * 0.02 * 0.06]
    assert sorted(part.volume for part in parts) == pytest.approx(sorted(volumes))
    assert vertices.min(axis=0) == pytest.approx([-0.05, -0.03, 0.0])
    assert vertices[8:].max(axis=0) == pytest.approx([0.04, 0.011, 0.11])


def test_a_description_is_frozen(tmp_path: Path) -> None:
    gripper = _load(tmp_path, SMALL)
    with pytest.raises(ValueError, match="read-only"):
        gripper.tool_center_point[0] = 1.0


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("stroke = 0.06\n", "", "lacks the required stroke"),
        ("stroke = 0.06", "stroke = -0.06", r"stroke must be above 0 .*, got -0.06"),
        ("stroke = 0.06", "stroke = nan", "stroke must be above 0 .*, got nan"),
        ("stroke = 0.06", "stroke = 60", "stroke must be .* at most 2 metres, got 60"),
        ("stroke = 0.06", 'stroke = "wide"', "stroke must be above 0 .*, got 'wide'"),
        ("stroke = 0.06", "stroke = true", "stroke must be above 0 .*, got True"),
        ("stroke", "color = 1\nstroke", "has the unknown entry color, expected finger, hand"),
        ('name = "small"', "name = 3", "name must be text .*, got 3"),
        ("mass = 0.4", "mass = 0", "mass must be above 0"),
        (
            "point = [0.0, 0.0, 0.1]",
            "point = [0.0, 0.1]",
            r"tool_center_point must be a list of 3 .*, got \[0.0, 0.1\]",
        ),
        ("point = [0.0, 0.0, 0.1]", "point = [0, 0, inf]", "tool_center_point must be finite"),
        ("centre = [0.0, 0.0, 0.025]\n", "", r"hand\[0\] lacks the required centre"),
        ("half_extents = [0.05,", "half_extents = [-0.05,", r"hand\[0\].half_extents must be ab"),
        (
            "half_extents = [0.05,",
            'half_extents = ["a",',
            r"hand\[0\].half_extents must be a list of 3 num",
        ),
        ("pad = [0.09, 0.11]", "pad = [0.11, 0.09]", "finger.pad must start below its end"),
        (
            "[0.005, 0.001, 0.08]",
            "[0.006, 0.001, 0.08]",
            "must start at x = 0, .* at x = 0.001 m",
        ),
        ("[[finger.boxes]]", "[finger.boxes]", "finger.boxes must be a list of boxes"),
        ("[[hand]]", "[hand]", "hand must be a list of boxes"),
        ("stroke = 0.06", "stroke = = 1", "is not valid TOML"),
        pytest.param("0.06", "1" + "0" * 400, "stroke must be .*, got 1000", id="huge"),
        pytest.param("0.06", "1" + "0" * 5000, "lines of at most 2000", id="5000 digits"),
        pytest.param("0.06", "0x" + "f" * 1900, "at most 2 metres, got 672", id="hexadecimal"),
        pytest.param("0.1]", f"1{'0' * 400}]", "point must be finite", id="huge in a list"),
        pytest.param("0.1]", f"0x{'f' * 1900}]", "point must be finite", id="hexadecimal list"),
        pytest.param("0.06", "[" * 900 + "]" * 900, "nested too deeply", id="deep"),
        ("point = [0.0, 0.0, 0.1]", 'point = ["0", "0", "0.1"]', "list of 3 numbers, got .*'0.1'"),
        ("point = [0.0, 0.0, 0.1]", "point = [false, 0.0, 0.1]", "a list of 3 numbers, got .False"),
        ("point = [0.0, 0.0, 0.1]", "point = 0.1", "must be a list of 3 numbers, got 0.1"),
        ("pad = [0.09, 0.11]", "pad = [-1.0, -0.9]", "pad must lie on the boxes .* 0.05 to 0.11"),
        ("pad = [0.09, 0.11]", "pad = [0.09, 0.12]", "pad must lie on the boxes"),
        ('"small"', '"../../x"', "name must be text of at most 64 letters"),
        ('"small"', '"a\\u0000b"', "name must be text"),
        ('"small"', '".."', "name must be text"),
        pytest.param('"small"', f'"{"a" * 65}"', "name must be text", id="65 letters"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert SMALL.count(old) >= 1
    with pytest.raises(InputError, match=sentence) as caught:
        _load(tmp_path, SMALL.replace(old, new, 1))
    assert "g.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_gripper(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no gripper 'hand': expected panda, robotiq"):
        load_gripper("hand")
    with pytest.raises(InputError, match="does not exist"):
        load_gripper(tmp_path / "hand.toml")
    with pytest.raises(InputError, match=r"cannot read .*null byte"):
        load_gripper("x\0.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(InputError, match="not UTF-8"):
        load_gripper(tmp_path / "g.toml")


@pytest.mark.parametrize("width", [-0.001, 0.0801, np.nan])
def test_an_opening_beyond_the_stroke(width: float) -> None:
    with pytest.raises(InputError, match=r"opening of panda must be between 0 and 0.08 m, got"):
        load_gripper("panda").boxes(width)


def test_a_name_of_64_characters_of_every_allowed_kind(tmp_path: Path) -> None:
    name = "Robot-2f_85.b" + "x" * 51
    assert _load(tmp_path, SMALL.replace("small", name)).name == name


def test_a_pad_may_extend_over_several_boxes(tmp_path: Path) -> None:
    tip = "[[finger.boxes]]\ncentre = [0.004, 0, 0.12]\nhalf_extents = [0.004, 0.01, 0.01]\n"
    longer = SMALL.replace("pad = [0.09, 0.11]", "pad = [0.09, 0.13]")
    assert _load(tmp_path, longer + tip).pad == (0.09, 0.13)
    # A box behind the plane of the pads cannot carry one.
    with pytest.raises(InputError, match="pad must lie on the boxes"):
        _load(tmp_path, longer + tip.replace("[0.004, 0, 0.12]", "[0.006, 0, 0.12]"))

"""Reading returns what was written, in every format."""

from __future__ import annotations

import dataclasses
import json

import h5py
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from grasp.formats import (
    FORMATS,
    FRAMES,
    PER_GRASP,
    Grasps,
    check_grasp_path,
    read_grasps,
    write_grasps,
)
from grasp.poses.frames import axes
from pcdiff.errors import InputError

EXTENSION = {"pcdiff": ".json", "acronym": ".h5", "graspgen": ".json", "isaac": ".yaml"}

# The formats that `tests.formats.test_field_formats` takes through the same round trip.
FIELD_FORMATS = {"position_quaternion", "graspnet", "contact_graspnet"}

# Fields that a format does not support.
LOST = {
    "pcdiff": set(),
    "acronym": set(),
    "graspgen": {
        "mass",
        "friction",
        "center_of_mass",
        "object_sha256",
        "sampler",
        "protocol",
        "tool_center_point",
    },
}
LOST["isaac"] = LOST["graspgen"]


def assert_same(read, expected, lost=()):
    for field in dataclasses.fields(Grasps):
        name = field.name
        got, want = getattr(read, name), getattr(expected, name)
        if name in lost:
            assert got is None, name
        elif isinstance(want, np.ndarray) and want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-15, err_msg=name)
        elif isinstance(want, np.ndarray):
            assert got.dtype.kind == want.dtype.kind, name
            np.testing.assert_array_equal(got, want, err_msg=name)
        else:
            assert got == want, name


def test_every_format_is_tested():
    assert EXTENSION.keys() | FIELD_FORMATS == FORMATS.keys()


@pytest.mark.parametrize("format", EXTENSION)
def test_all_fields_that_a_format_supports_come_back(format, grasps, tmp_path):
    path = tmp_path / f"g{EXTENSION[format]}"
    write_grasps(path, grasps, format=format)
    assert_same(read_grasps(path), grasps, LOST[format])


@pytest.mark.parametrize("format", EXTENSION)
@pytest.mark.parametrize("known", [(), ("success",), ("energy",), ("success", "width")])
def test_unknown_fields_stay_unknown(format, known, grasps, tmp_path):
    arrays = {name: getattr(grasps, name) if name in known else None for name in PER_GRASP}
    bare = Grasps(poses=grasps.poses, **arrays)
    path = tmp_path / f"g{EXTENSION[format]}"
    write_grasps(path, bare, format=format)
    assert_same(read_grasps(path), bare)


@pytest.mark.parametrize("format", ["pcdiff", "acronym", "graspgen"])
def test_poses_come_back_to_the_last_bit(format, grasps, tmp_path):
    path = tmp_path / f"g{EXTENSION[format]}"
    write_grasps(path, grasps, format=format)
    np.testing.assert_array_equal(read_grasps(path).poses, grasps.poses)


@pytest.mark.parametrize("format", EXTENSION)
def test_no_grasps_with_a_reason_can_be_written(format, tmp_path):
    path = tmp_path / f"g{EXTENSION[format]}"
    reason = "the object is wider than the gripper everywhere"
    write_grasps(path, Grasps(poses=np.empty((0, 4, 4)), reason=reason), format=format)
    read = read_grasps(path)
    assert (len(read), read.reason) == (0, reason)


@pytest.mark.parametrize("format", EXTENSION)
def test_no_grasps_without_a_reason_are_refused(format, tmp_path):
    path = tmp_path / f"g{EXTENSION[format]}"
    with pytest.raises(InputError, match="no reason"):
        write_grasps(path, Grasps(poses=np.empty((0, 4, 4))), format=format)
    assert not path.exists()


@pytest.mark.parametrize("format", EXTENSION)
def test_the_best_grasps_come_first(format, grasps, rng, tmp_path):
    path = tmp_path / f"g{EXTENSION[format]}"
    write_grasps(path, grasps.select(rng.permutation(7)), format=format)
    assert_same(read_grasps(path), grasps, LOST[format])


def test_ranking_uses_probability_or_energy_and_puts_collisions_last(grasps):
    order = np.array([3, 1, 6, 0, 2, 5, 4])
    shuffled = grasps.select(order)
    by_energy = dataclasses.replace(shuffled, success_probability=None)
    unscored = dataclasses.replace(by_energy, energy=None)
    opposed = dataclasses.replace(shuffled, energy=-shuffled.energy)
    np.testing.assert_array_equal(shuffled.ranked().poses, grasps.poses)
    np.testing.assert_array_equal(by_energy.ranked().poses, grasps.poses)
    np.testing.assert_array_equal(opposed.ranked().poses, grasps.poses)
    np.testing.assert_array_equal(unscored.ranked().poses, grasps.poses[order])
    tied = dataclasses.replace(
        shuffled, success_probability=np.ones(7), in_collision=np.zeros(7, bool)
    )
    np.testing.assert_array_equal(tied.ranked().poses, grasps.poses[order])
    colliding = dataclasses.replace(grasps, in_collision=np.arange(7) == 0)
    np.testing.assert_array_equal(colliding.ranked().poses, np.roll(grasps.poses, -1, axis=0))


def test_our_json_has_the_documented_layout(grasps, tmp_path):
    path = tmp_path / "g.json"
    write_grasps(path, grasps)
    document = json.loads(path.read_text("utf-8"))
    assert {key: document[key] for key in ("format", "version", "unit", "frame")} == {
        "format": "pcdiff-grasp/grasps",
        "version": 1,
        "unit": "metre",
        "frame": "object mesh file",
    }
    assert document["gripper"] == {
        "name": "panda",
        "approach": "+z",
        "closing": "+x",
        "tool_center_point": [0, 0, 0.1034],
    }
    subject = document["object"]
    assert (subject["file"], subject["scale"], subject["sha256"]) == (
        grasps.object_file,
        0.0268,
        "ab" * 32,
    )
    assert document["sampler"] == {"weights": "panda", "seed": 0, "steps": 15}
    first = document["grasps"][0]
    assert first["pose"] == grasps.poses[0].tolist()
    assert first["in_collision"] in (True, False)
    keys = ("energy", "success_probability", "width")
    assert [first[key] for key in keys] == [getattr(grasps, key)[0] for key in keys]


def test_acronym_tools_find_their_datasets(grasps, tmp_path):
    path = tmp_path / "g.h5"
    write_grasps(path, grasps)
    with h5py.File(path) as file:
        transforms = file["grasps/transforms"]
        held = file["grasps/qualities/flex/object_in_gripper"]
        assert (transforms.dtype, held.dtype) == (np.float64, np.int64)
        np.testing.assert_array_equal(transforms[()], grasps.poses)
        np.testing.assert_array_equal(held[()], grasps.success)
        assert file["object/file"].asstr()[()] == grasps.object_file
        assert file["object/scale"][()] == grasps.object_scale
        assert (file["object/mass"][()], file["object/friction"][()]) == (0.13, 0.7)
        assert file["gripper/type"].asstr()[()] == "panda"
        assert set(file) == {"grasps", "gripper", "object", "pcdiff_grasp"}
        assert file["pcdiff_grasp"].attrs["protocol"].decode() == "1"


def test_graspgen_finds_its_keys(grasps, tmp_path):
    path = tmp_path / "g.json"
    write_grasps(path, grasps, format="graspgen")
    document = json.loads(path.read_text("utf-8"))
    assert document["object"] == {"file": grasps.object_file, "scale": 0.0268}
    assert document["gripper"]["name"] == "franka_panda"
    mask = np.array(document["grasps"]["object_in_gripper"])
    assert mask.dtype == bool  # GraspGen's recipe uses it and its negation as masks
    positive = np.array(document["grasps"]["transforms"])[mask]
    np.testing.assert_array_equal(positive, grasps.poses[grasps.success])


@pytest.mark.parametrize("frame", FRAMES)
def test_isaac_tools_find_poses_of_every_frame(frame, grasps, tmp_path):
    path = tmp_path / "g.yml"
    write_grasps(path, grasps, frame=frame)
    document = yaml.safe_load(path.read_text("utf-8"))
    assert (document["format"], document["format_version"]) == ("isaac_grasp", 1.0)
    assert list(document["grasps"]) == [f"grasp_{i}" for i in range(7)]
    for i, grasp in enumerate(document["grasps"].values()):
        orientation = grasp["orientation"]
        rotation = Rotation.from_quat([*orientation["xyz"], orientation["w"]])
        T_object_frame = grasps.poses[i] @ np.linalg.inv(FRAMES[frame])
        np.testing.assert_allclose(rotation.as_matrix(), T_object_frame[:3, :3], atol=1e-12)
        np.testing.assert_allclose(grasp["position"], T_object_frame[:3, 3], atol=1e-12)
        assert grasp["confidence"] == grasps.success_probability[i]
    np.testing.assert_allclose(read_grasps(path).poses, grasps.poses, atol=1e-14)


def test_only_yaml_is_written_in_another_frame(grasps, tmp_path):
    with pytest.raises(
        InputError, match=r"frame must be 'gripper' for the format .*, got 'panda_hand'"
    ):
        write_grasps(tmp_path / "g.json", grasps, frame="panda_hand")


def test_labels_become_the_confidence_without_probabilities(grasps, tmp_path):
    path = tmp_path / "g.yaml"
    write_grasps(path, Grasps(poses=grasps.poses, success=grasps.success))
    document = yaml.safe_load(path.read_text("utf-8"))
    confidences = [grasp["confidence"] for grasp in document["grasps"].values()]
    assert confidences == grasps.success.astype(float).tolist()


def test_a_failed_write_keeps_the_old_file(grasps, tmp_path):
    path = tmp_path / "g.json"
    path.write_text("old")
    unwritable = dataclasses.replace(grasps, sampler={"rng": np.random.default_rng(0)})
    for name in ("g.json", "g.h5"):
        with pytest.raises(InputError, match="JSON cannot represent the sampler of the grasps"):
            write_grasps(tmp_path / name, unwritable)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["g.json"]


@pytest.mark.parametrize(
    ("name", "format", "sentence"),
    [
        ("g.pkl", None, "expected the extension"),
        ("g", None, "expected the extension"),
        ("g.json", "acronym", "the format acronym needs the extension .h5 or .hdf5"),
        ("g.json", "urdf", "the format must be one of"),
    ],
)
def test_mismatched_extensions_and_formats_are_refused(name, format, sentence, grasps, tmp_path):
    with pytest.raises(InputError, match=sentence):
        write_grasps(tmp_path / name, grasps, format=format)


@pytest.mark.parametrize(("approach", "closing"), [("+z", "+y"), ("-x", "+z"), ("+y", "-x")])
def test_axes_in_our_json_define_the_frame(approach, closing, grasps, tmp_path):
    path = tmp_path / "g.json"
    grasps = dataclasses.replace(grasps, tool_center_point=np.array([0.01, 0.02, 0.1]))
    write_grasps(path, grasps)
    document = json.loads(path.read_text("utf-8"))
    T_frame_grasp = axes(approach, closing)
    tip = T_frame_grasp[:3, :3] @ grasps.tool_center_point
    document["gripper"] |= {"approach": approach, "closing": closing}
    document["gripper"]["tool_center_point"] = tip.tolist()
    for grasp, pose in zip(document["grasps"], grasps.poses, strict=True):
        grasp["pose"] = (pose @ np.linalg.inv(T_frame_grasp)).tolist()
    path.write_text(json.dumps(document), "utf-8")
    assert_same(read_grasps(path), grasps)


def test_a_path_is_checked_by_its_extension(tmp_path):
    stands_for = {".json": "pcdiff", ".h5": "acronym", ".hdf5": "acronym"}
    stands_for |= {".yaml": "isaac", ".yml": "isaac", ".JSON": "pcdiff"}
    for ending, format in stands_for.items():
        assert check_grasp_path(tmp_path / f"grasps{ending}") == format
    with pytest.raises(InputError, match=r"cannot write .*grasps.txt: expected the extension"):
        check_grasp_path(tmp_path / "grasps.txt")

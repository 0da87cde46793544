"""GraspNet-1Billion, Contact-GraspNet, and the table of positions and quaternions."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.formats import FRAMES, Grasps, contact_graspnet, read_grasps, write_grasps
from grasp.formats.graspnet import NO_ROWS
from grasp.grippers.gripper import load_gripper
from grasp.poses.frames import to_frame
from pcdiff.errors import InputError
from tests.formats.refusals import refusal
from tests.formats.test_round_trip import assert_same

PANDA_END = 0.1122  # where the fingers of the Franka Hand end, in metres from the base

# --- GraspNet-1Billion ----------------------------------------------------------------------------


def row(rotation, translation, depth=0.02, score=0.9, width=0.05, object_id=-1):
    """One grasp of GraspNet: 17 numbers."""
    return [score, width, 0.02, depth, *np.ravel(rotation), *translation, object_id]


def save(path, *rows, dtype=np.float32):
    np.save(path, np.array(rows, dtype).reshape(-1, 17))
    return path


def test_a_graspnet_pose_by_hand(tmp_path):
    """A hand that approaches along the world's −z and closes along the world's y.

    GraspNet: x (approach) = −z, y (closing) = y, so z = x × y = (0,0,−1) × (0,1,0) = (1,0,0). With
    the origin at height 0.5 and a depth of 0.02, the fingertips end at height 0.48. In our frame z
    (approach) = (0,0,−1), x (closing) = (0,1,0), y = z × x = (1,0,0), and the base of the hand is
    0.1122 m above the fingertips.
    """
    rotation = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    path = save(tmp_path / "g.npy", row(rotation, (0.1, 0.2, 0.5)))
    read = read_grasps(path, gripper="panda")
    expected = [[0, 1, 0, 0.1], [1, 0, 0, 0.2], [0, 0, -1, 0.48 + PANDA_END], [0, 0, 0, 1]]
    np.testing.assert_allclose(read.poses[0], expected, atol=1e-7)
    assert (read.gripper, len(read)) == ("panda", 1)
    np.testing.assert_allclose([read.energy[0], read.width[0]], [-0.9, 0.05], atol=1e-7)
    with_longer_fingers = read_grasps(path, gripper=load_gripper("robotiq_2f_85"))
    assert with_longer_fingers.poses[0, 2, 3] > read.poses[0, 2, 3]


@pytest.mark.parametrize("name", ["panda", "robotiq_2f_85", "robotiq_2f_140"])
def test_graspnet_round_trip(name, grasps, tmp_path):
    hand = load_gripper(name)
    given = dataclasses.replace(grasps, gripper=name)
    path = tmp_path / "g.npy"
    write_grasps(path, given)
    read = read_grasps(path, gripper=hand)
    np.testing.assert_allclose(read.poses, given.poses, atol=1e-15)
    np.testing.assert_array_equal(read.width, given.width)
    np.testing.assert_array_equal(read.energy, -given.success_probability)
    table = np.load(path, allow_pickle=False)
    assert (table[:, 2] == hand.finger_width).all() and (table[:, 16] == -1).all()
    # GraspNet's origin is the tool centre point, and the fingertips are `depth` further.
    tips = given.poses @ [*hand.tool_center_point, 1]
    np.testing.assert_allclose(table[:, 13:16], tips[:, :3], atol=1e-15)
    again = table[:, 13:16] + table[:, 3:4] * table[:, [4, 7, 10]]
    end = max(box.centre[2] + box.half_extents[2] for box in hand.finger_boxes)
    np.testing.assert_allclose(again, (given.poses @ [0, 0, end, 1])[:, :3], atol=1e-15)


def test_graspnet_scores_and_widths_that_are_unknown(grasps, panda, tmp_path):
    def table_of(**known):
        write_grasps(tmp_path / "g.npy", Grasps(poses=grasps.poses, gripper="panda", **known))
        return np.load(tmp_path / "g.npy", allow_pickle=False)

    np.testing.assert_array_equal(table_of(energy=grasps.energy)[:, 0], -grasps.energy)
    np.testing.assert_array_equal(table_of(success=grasps.success)[:, 0], grasps.success)
    bare = table_of()
    assert (bare[:, 0] == 0).all() and (bare[:, 1] == panda.stroke).all()
    write_grasps(tmp_path / "e.npy", Grasps(poses=np.empty((0, 4, 4)), reason="r"), gripper="panda")
    assert read_grasps(tmp_path / "e.npy", gripper="panda").reason == NO_ROWS


def test_the_object_of_a_graspnet_array(tmp_path):
    rows = [row(np.eye(3), (i, 0, 0), object_id=3 + i) for i in range(2)]
    path = save(tmp_path / "g.npy", *rows)
    read = read_grasps(path, gripper="panda", object_id=4)
    assert read.poses[:, 0, 3] == pytest.approx([1 + 0.02 - PANDA_END])
    assert "grasps of the objects 3, 4: state the id" in refusal(path, gripper="panda")
    assert "must be one of 3, 4, got '5'" in refusal(path, gripper="panda", object_id=5)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (np.zeros((2, 16)), r"shape \(grasps, 17\), got float64 of shape \(2, 16\)"),
        (np.full((1, 17), np.nan), "grasp 0 has a number that is not finite"),
        (np.zeros((1, 17)), "rotation of grasp 0 is not orthonormal"),
        (np.full((1, 17), "a"), "must contain numbers"),
        (np.array([row(np.eye(3), (0, 0, 0), width=-1)]), "width of grasp 0 must be at least 0"),
    ],
)
def test_damaged_graspnet_arrays(table, sentence, tmp_path):
    np.save(tmp_path / "g.npy", table)
    with pytest.raises(InputError, match=sentence):
        read_grasps(tmp_path / "g.npy", gripper="panda")


def test_graspnet_needs_the_gripper(grasps, tmp_path):
    path = save(tmp_path / "g.npy", row(np.eye(3), (0, 0, 0)))
    assert "state the gripper" in refusal(path)
    assert "there is no gripper 'pandas'" in refusal(path, gripper="pandas")
    with pytest.raises(InputError, match="needs the gripper of the grasps"):
        write_grasps(tmp_path / "h.npy", Grasps(poses=grasps.poses))
    with pytest.raises(InputError, match="contradicts the requested frame"):
        read_grasps(path, gripper="panda", frame="panda_hand")


# --- Contact-GraspNet -----------------------------------------------------------------------------


def test_a_contact_graspnet_pose_by_hand(tmp_path):
    """A hand over the point (0, 0, 0.6) of a camera that looks along +z.

    The approach is (0, 0, 1) and the baseline (1, 0, 0). For fingers 4 cm apart, the contact is
    2 cm before the tool centre point along x, and the base 0.1034 m behind it along z.
    """
    pose = np.eye(4)
    pose[:3, 3] = [0, 0, 0.6 - 0.1034]
    given = Grasps(poses=pose[None], gripper="panda", width=np.array([0.04]))
    write_grasps(tmp_path / "g.npz", given)
    with np.load(tmp_path / "g.npz", allow_pickle=False) as file:
        np.testing.assert_allclose(file["contact_pts"], [[-0.02, 0, 0.6]], atol=1e-15)
        np.testing.assert_array_equal(file["gripper_openings"], [0.04])
        np.testing.assert_array_equal(file["pred_grasps_cam"], pose[None])
        assert "scores" not in file


def test_contact_graspnet_round_trip(grasps, tmp_path):
    write_grasps(tmp_path / "g.npz", grasps)
    lost = {"mass", "friction", "center_of_mass", "object_sha256", "sampler", "protocol"}
    assert_same(read_grasps(tmp_path / "g.npz"), grasps, lost | {"tool_center_point"})
    with np.load(tmp_path / "g.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["scores"], grasps.success_probability)


def test_several_objects_of_contact_graspnet(grasps, tmp_path):
    parts = {"1": grasps.select(slice(3)), "2.0": grasps.select(slice(3, 7))}
    path = tmp_path / "g.npz"
    contact_graspnet.write_objects(path, parts)
    read = contact_graspnet.read_objects(path)
    assert {key: len(each) for key, each in read.items()} == {"1": 3, "2.0": 4}
    np.testing.assert_array_equal(read["2.0"].poses, grasps.poses[3:])
    np.testing.assert_array_equal(read_grasps(path, object_id=1).poses, grasps.poses[:3])
    assert "objects 1, 2.0: state the id of one" in refusal(path)
    assert "must be one of 1, 2.0, got '7'" in refusal(path, object_id=7)


def test_plain_arrays_as_the_advice_says(grasps, tmp_path):
    """Contact-GraspNet squeezes the arrays of a single grasp, and has no grasps for a segment."""
    one = grasps.poses[:1].astype(np.float32)
    np.savez(
        tmp_path / "g.npz",
        pred_grasps_cam_1=one,
        scores_1=np.float32(0.75),
        gripper_openings_1=np.float32(0.08),
        contact_pts_1=np.zeros(3),
        pred_grasps_cam_2=np.array([]),
        scores_2=np.array([]),
    )
    read = contact_graspnet.read_objects(tmp_path / "g.npz")
    assert (read["1"].gripper, read["1"].success_probability.tolist()) == ("panda", [0.75])
    np.testing.assert_allclose(read["1"].poses, one)
    assert len(read["2"]) == 0 and read["2"].reason == contact_graspnet.NO_GRASPS


def test_pickled_dictionaries_are_refused_with_advice(grasps, tmp_path):
    path = tmp_path / "predictions.npz"
    np.savez(path, pred_grasps_cam={1: grasps.poses}, scores={1: grasps.energy}, K=np.eye(3))
    sentence = refusal(path)
    assert "pred_grasps_cam, scores in the file contains pickled Python objects" in sentence
    assert "save one plain array per object" in sentence


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"poses": np.eye(4)[None]}, "must have an array pred_grasps_cam"),
        ({"pred_grasps_cam": np.zeros((3, 7))}, r"shape \(n, 4, 4\)"),
        ({"pred_grasps_cam": np.full((1, 4, 4), "x")}, "must contain numbers"),
        (
            {"pred_grasps_cam": np.eye(4)[None], "scores": np.zeros(2)},
            "one scores for each of the 1 grasps",
        ),
        (
            {"pred_grasps_cam": np.eye(4)[None], "scores": np.array([1.5])},
            "success_probability of grasp 0 must be between 0 and 1",
        ),
    ],
)
def test_damaged_contact_graspnet_files(arrays, sentence, tmp_path):
    np.savez(tmp_path / "g.npz", **arrays)
    with pytest.raises(InputError, match=sentence):
        read_grasps(tmp_path / "g.npz")


def test_a_cut_or_foreign_archive_is_refused(grasps, tmp_path):
    write_grasps(tmp_path / "g.npz", grasps)
    content = (tmp_path / "g.npz").read_bytes()
    for changed in (content[: len(content) // 2], b"not a zip", b""):
        (tmp_path / "h.npz").write_bytes(changed)
        assert "damaged or is not a .npz file" in refusal(tmp_path / "h.npz")


# --- Positions and quaternions --------------------------------------------------------------------


def table_of(path):
    comment, _, table = path.read_text("utf-8").partition("\n")
    assert comment.startswith("# ")
    return json.loads(comment[2:]), list(csv.DictReader(table.splitlines()))


def test_a_table_states_frames_and_units(tmp_path):
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # a quarter turn around z
    pose[:3, 3] = [0.1, -0.2, 0.3]
    given = Grasps(
        poses=pose[None],
        gripper="panda",
        width=np.array([0.05]),
        success_probability=np.array([0.5]),
        energy=np.array([-1.5]),
    )
    write_grasps(tmp_path / "g.csv", given)
    about, rows = table_of(tmp_path / "g.csv")
    assert about["unit"] == "metre" and about["frame"] == "object mesh file"
    assert about["hand_frame"] == "gripper" and about["quaternion"] == "quaternion_xyzw"
    names = ["x", "y", "z", "qx", "qy", "qz", "qw", "width", "probability", "energy"]
    assert list(rows[0]) == names
    half = np.sqrt(0.5)
    expected = [0.1, -0.2, 0.3, 0, 0, half, half, 0.05, 0.5, -1.5]
    np.testing.assert_allclose([float(rows[0][name]) for name in names], expected, atol=1e-15)


def test_a_table_round_trip(grasps, tmp_path):
    write_grasps(tmp_path / "g.csv", grasps)
    lost = {"mass", "friction", "center_of_mass", "sampler", "protocol"}
    assert_same(read_grasps(tmp_path / "g.csv"), grasps, lost)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_table_of_every_hand_frame(frame, grasps, tmp_path):
    write_grasps(tmp_path / "g.csv", grasps, frame=frame)
    _, rows = table_of(tmp_path / "g.csv")
    expected = to_frame(grasps.poses, frame)
    for pose, cells in zip(expected, rows, strict=True):
        rotation = Rotation.from_quat([float(cells[f"q{axis}"]) for axis in "xyzw"]).as_matrix()
        np.testing.assert_allclose(rotation, pose[:3, :3], atol=1e-14)
        np.testing.assert_allclose([float(cells[axis]) for axis in "xyz"], pose[:3, 3], atol=1e-15)
    read = read_grasps(tmp_path / "g.csv")
    np.testing.assert_allclose(read.poses, grasps.poses, atol=1e-14)
    np.testing.assert_allclose(read.tool_center_point, grasps.tool_center_point, atol=1e-15)


@pytest.mark.parametrize("known", [(), ("success",), ("energy",), ("failure",)])
@pytest.mark.parametrize("name", ["g.csv", "g.npz"])
def test_unknown_properties_stay_unknown(name, known, grasps, tmp_path):
    bare = Grasps(
        poses=grasps.poses, gripper="panda", **{each: getattr(grasps, each) for each in known}
    )
    write_grasps(tmp_path / name, bare)
    assert_same(read_grasps(tmp_path / name), bare)


@pytest.mark.parametrize("name", ["g.csv", "g.npz"])
def test_no_grasps_with_a_reason(name, tmp_path):
    none = Grasps(poses=np.empty((0, 4, 4)), gripper="panda", reason="too wide,\nby far")
    write_grasps(tmp_path / name, none)
    assert_same(read_grasps(tmp_path / name), none)


@pytest.mark.parametrize("name", ["g.csv", "g.npz"])
@pytest.mark.parametrize("frame", ["object mesh file", "camera", "robot base"])
def test_the_frame_of_the_poses_is_stated(name, frame, grasps, tmp_path):
    write_grasps(tmp_path / name, dataclasses.replace(grasps, frame=frame))
    assert read_grasps(tmp_path / name).frame == frame


def test_foreign_arrays_are_in_the_frame_of_the_camera(tmp_path):
    path = save(tmp_path / "g.npy", row(np.eye(3), (0, 0, 0)))
    assert read_grasps(path, gripper="panda").frame == "camera"
    np.savez(tmp_path / "g.npz", pred_grasps_cam=np.eye(4)[None])
    assert read_grasps(tmp_path / "g.npz").frame == "camera"
    np.savez(tmp_path / "h.npz", pred_grasps_cam=np.eye(4)[None], frame=np.array("world"))
    assert "got 'world'" in refusal(tmp_path / "h.npz")


def test_a_table_of_another_program(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("qw, qx, qy, qz, x, y, z, note\r\n1, 0, 0, 0, 10, 20, 30, a\r\n")
    assert "does not state the unit or the frame" in refusal(path)
    read = read_grasps(path, unit="mm", frame="gripper")
    np.testing.assert_allclose(read.poses[0, :3, 3], [0.01, 0.02, 0.03])
    np.testing.assert_array_equal(read.poses[0, :3, :3], np.eye(3))
    assert read.energy is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "lacks x, y, z"),
        ("x,y,z,qx,qy,qz\n", "lacks qw"),
        ("x,y,z,qx,qy,qz,qw,x\n", "two columns of the same name"),
        ("x,y,z,qx,qy,qz,qw\n1,2,3,0,0,0\n", "row 0 of the table must have 7 cells"),
        ("x,y,z,qx,qy,qz,qw\n1,2,3,0,0,0,1,9\n", "row 0 of the table must have 7 cells"),
        ("x,y,z,qx,qy,qz,qw\n1,2,a,0,0,0,1\n", "the z of grasp 0 must be a number, got 'a'"),
        ("x,y,z,qx,qy,qz,qw\n1,2,inf,0,0,0,1\n", "the z of grasp 0 must be finite"),
        ("x,y,z,qx,qy,qz,qw\n1,2,3,0,0,0,2\n", "quaternion of grasp 0 must have norm 1, got 2"),
        ("x,y,z,qx,qy,qz,qw,energy\n1,2,3,0,0,0,1,\n1,2,3,0,0,0,1,5\n", "grasp 0 has no energy"),
        ("# x\n", "not JSON"),
        ('# {"format": "other"}\n', "must be pcdiff-grasp/poses, got 'other'"),
        ('# {"format": "pcdiff-grasp/poses", "version": 2}\n', "at most 1, got 2"),
    ],
)
def test_damaged_tables(text, sentence, tmp_path):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_grasps(tmp_path / "g.csv", unit="m", frame="gripper")

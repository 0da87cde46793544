"""Files as other programs write them, and files that do not state their unit or frame."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from grasp.formats import read_grasps, write_grasps
from grasp.poses.frames import FRAMES, to_frame
from pcdiff.errors import InputError


def edited(path, grasps, edit):
    """Write our JSON of the grasps with a change."""
    write_grasps(path, grasps)
    document = json.loads(path.read_text("utf-8"))
    edit(document)
    path.write_text(json.dumps(document), "utf-8")
    return path


# --- ACRONYM --------------------------------------------------------------------------------------


def test_acronym_examples(shared_data):
    folder = shared_data / "acronym_examples" / "examples" / "grasps"
    mug = read_grasps(next(folder.glob("Mug_*.h5")))
    assert len(mug) == 2000
    assert mug.gripper == "panda"
    assert mug.object_file == "meshes/Mug/10f6e09036350e92b3f21f1137c3c347.obj"
    assert mug.object_scale == pytest.approx(0.0002682457830986903)
    assert mug.mass == pytest.approx(0.0130879738)
    assert mug.friction == 1.0
    np.testing.assert_allclose(mug.center_of_mass, [6.8594e-06, -2.12206e-03, 9.38568045e-02])
    table = read_grasps(next(folder.glob("Table_*.h5")))
    assert (len(table), table.friction, table.mass) == (2000, 1.0, pytest.approx(0.1015140097))
    for path, grasps in zip(sorted(folder.glob("*.h5")), (mug, table), strict=True):
        with h5py.File(path) as file:
            transforms = file["grasps/transforms"][()]
            np.testing.assert_array_equal(grasps.poses, transforms)
            np.testing.assert_array_equal(
                grasps.success, file["grasps/qualities/flex/object_in_gripper"][()] == 1
            )


def test_fingertips_of_successful_acronym_grasps_are_at_the_mug(shared_data):
    # This verifies unit and frame: the point 0.1034 m along +z from the base is at the mug.
    mug = read_grasps(
        next((shared_data / "acronym_examples" / "examples" / "grasps").glob("Mug_*.h5"))
    )
    tips = mug.poses[mug.success] @ [0, 0, 0.1034, 1]
    extent = 0.15  # generous bound on the size of the mug in metres
    assert (np.linalg.norm(tips[:, :3] - mug.center_of_mass, axis=1) < extent).all()


def acronym_file(path, poses, **datasets):
    with h5py.File(path, "w") as file:
        file["grasps/transforms"] = poses
        for name, value in datasets.items():
            file[name.replace("__", "/")] = value
    return path


def test_acronym_file_as_its_authors_write_it(grasps, tmp_path):
    path = acronym_file(
        tmp_path / "g.h5",
        grasps.poses,
        gripper__type=np.bytes_(b"panda"),
        gripper__configuration=[0.04],
        object__file="meshes/Mug/a.obj",
        object__scale=0.5,
        grasps__qualities__flex__object_in_gripper=np.arange(7) % 2,
        grasps__qualities__flex__object_motion_during_closing_linear=np.ones(7),
    )
    read = read_grasps(path)
    assert (read.gripper, read.object_file, read.object_scale) == ("panda", "meshes/Mug/a.obj", 0.5)
    np.testing.assert_array_equal(read.success, np.arange(7) % 2 == 1)
    assert (read.mass, read.friction, read.center_of_mass) == (None, None, None)


def test_the_caller_may_override_the_definition_of_a_format(grasps, tmp_path):
    millimetres = to_frame(grasps.poses, "panda_hand")
    millimetres[:, :3, 3] *= 1000
    path = acronym_file(tmp_path / "g.h5", millimetres, object__com=[1.0, 2.0, 3.0])
    read = read_grasps(path, unit="mm", frame="panda_hand")
    np.testing.assert_allclose(read.poses, grasps.poses, atol=1e-15)
    np.testing.assert_allclose(read.center_of_mass, [0.001, 0.002, 0.003])


# --- GraspGen -------------------------------------------------------------------------------------


def graspgen_document(poses, **gripper):
    return {
        "object": {"file": "mug.obj", "scale": 2.0},
        "gripper": gripper,
        "grasps": {
            "transforms": poses.tolist(),
            "object_in_gripper": [bool(i % 2) for i in range(len(poses))],
        },
    }


def save(path, document):
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_graspgen_file_as_documented(grasps, tmp_path):
    document = graspgen_document(grasps.poses)
    del document["gripper"]
    read = read_grasps(save(tmp_path / "g.json", document))
    np.testing.assert_array_equal(read.poses, grasps.poses)
    np.testing.assert_array_equal(read.success, np.arange(7) % 2 == 1)
    assert (read.object_file, read.object_scale, read.gripper) == ("mug.obj", 2.0, None)


def test_graspgen_file_with_labels_in_a_column(grasps, tmp_path):
    labels = [[1], [0], [1], [1], [0], [0], [1]]
    document = {"grasps": {"transforms": grasps.poses.tolist(), "object_in_gripper": labels}}
    read = read_grasps(save(tmp_path / "g.json", document))
    np.testing.assert_array_equal(read.success, np.ravel(labels) == 1)


@pytest.mark.parametrize("shape", ["pair", "flat", "matrix"])
def test_graspgen_offset_converts_to_our_axes(shape, grasps, tmp_path):
    # Like panda_hand, the asset closes along y, and R_z(π/2) converts to GraspGen's axes.
    offset = FRAMES["panda_hand"]
    quaternion_xyzw = Rotation.from_matrix(offset[:3, :3]).as_quat().tolist()
    written = {
        "pair": [[0.0, 0.0, 0.0], quaternion_xyzw],
        "flat": offset.ravel().tolist(),
        "matrix": offset.tolist(),
    }[shape]
    document = graspgen_document(
        to_frame(grasps.poses, "panda_hand"),
        name="franka_panda",
        transform_offset_from_asset_to_graspgen_convention=written,
    )
    read = read_grasps(save(tmp_path / "g.json", document))
    assert read.gripper == "panda"
    np.testing.assert_allclose(read.poses, grasps.poses, atol=1e-15)
    with pytest.raises(InputError, match="contradicts the requested frame panda_hand"):
        read_grasps(tmp_path / "g.json", frame="panda_hand")


# --- Isaac ----------------------------------------------------------------------------------------

ISAAC = """\
format: isaac_grasp
format_version: 1.0

object_frame: /World/mug
gripper_frame: /World/panda_hand

grasps:
  "grasp_0":
    confidence: 1.0
    position: [-0.04346, 0.06759, 0.19895]
    orientation: {w: 0.00332, xyz: [0.98453, 0.16837, 0.04837]}
    cspace_position:
      panda_finger_joint1: 0.00943
    pregrasp_cspace_position:
      panda_finger_joint1: 0.04
"""


def test_isaac_example_from_the_documentation(tmp_path):
    path = tmp_path / "g.yaml"
    path.write_text(ISAAC)
    with pytest.raises(InputError, match="does not state the unit or the frame") as refusal:
        read_grasps(path)
    assert str(refusal.value).endswith(
        "supply the unit (m, cm, mm, inch) and the frame (gripper, panda_hand, panda_flange, "
        "panda_link7)"
    )
    read = read_grasps(path, unit="m", frame="panda_hand")
    hand = to_frame(read.poses, "panda_hand")[0]
    expected = Rotation.from_quat([0.98453, 0.16837, 0.04837, 0.00332]).as_matrix()
    np.testing.assert_allclose(hand[:3, :3], expected, atol=1e-12)
    np.testing.assert_allclose(hand[:3, 3], [-0.04346, 0.06759, 0.19895], atol=1e-15)
    assert read.success_probability.tolist() == [1.0]


def test_isaac_file_as_graspgen_writes_it(grasps, tmp_path):
    document = {"format": "isaac_grasp", "format_version": 1.0, "grasps": {}}
    for i, pose in enumerate(grasps.poses):
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
        document["grasps"][f"grasp_{i}"] = {
            "confidence": float(grasps.success_probability[i]),
            "position": pose[:3, 3].tolist(),
            "orientation": {"w": w, "xyz": [x, y, z]},
        }
    path = tmp_path / "g.yml"
    path.write_text(yaml.safe_dump(document, default_flow_style=False))
    read = read_grasps(path, unit="m", frame="gripper")
    np.testing.assert_allclose(read.poses, grasps.poses, atol=1e-14)
    np.testing.assert_array_equal(read.success_probability, grasps.success_probability)


def test_yaml_numbers_without_a_point_are_numbers(tmp_path):
    # In YAML 1.2 and for most writers 1e-05 is a number, but PyYAML reads it as text.
    path = tmp_path / "g.yaml"
    path.write_text(ISAAC.replace("0.19895", "2e-1").replace("0.06759", "-1E-05"))
    read = read_grasps(path, unit="m", frame="panda_hand")
    hand = to_frame(read.poses, "panda_hand")[0]
    np.testing.assert_allclose(hand[1:3, 3], [-1e-5, 0.2], atol=1e-15)


# --- Unit and frame -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "metres"),
    [("metre", 1), ("m", 1), ("cm", 0.01), ("millimetre", 0.001), ("inch", 0.0254), ("in", 0.0254)],
)
def test_all_lengths_of_our_json_are_converted_from_its_unit(unit, metres, grasps, tmp_path):
    path = edited(tmp_path / "g.json", grasps, lambda d: d.update(unit=unit))
    read = read_grasps(path)
    np.testing.assert_allclose(read.poses[:, :3, 3], grasps.poses[:, :3, 3] * metres)
    np.testing.assert_array_equal(read.poses[:, :3, :3], grasps.poses[:, :3, :3])
    np.testing.assert_allclose(read.width, grasps.width * metres)
    np.testing.assert_allclose(read.center_of_mass, grasps.center_of_mass * metres)
    np.testing.assert_allclose(read.tool_center_point, grasps.tool_center_point * metres)
    np.testing.assert_array_equal(read.energy, grasps.energy)


def test_a_missing_unit_must_be_supplied(grasps, tmp_path):
    path = edited(tmp_path / "g.json", grasps, lambda d: d.pop("unit"))
    with pytest.raises(
        InputError,
        match=r"does not state the unit of its poses: supply the unit \(m, cm, mm, inch\)$",
    ):
        read_grasps(path)
    read = read_grasps(path, unit="mm")
    np.testing.assert_allclose(read.poses[:, :3, 3], grasps.poses[:, :3, 3] / 1000)


@pytest.mark.parametrize("missing", ["frame", "approach", "closing"])
def test_a_missing_frame_must_be_supplied(missing, grasps, tmp_path):
    path = edited(
        tmp_path / "g.json", grasps, lambda d: (d, d["gripper"])[missing != "frame"].pop(missing)
    )
    with pytest.raises(InputError, match="does not state the frame of its poses: supply the frame"):
        read_grasps(path)
    for frame in FRAMES:
        read = read_grasps(path, frame=frame)
        np.testing.assert_allclose(to_frame(read.poses, frame), grasps.poses, atol=1e-15)


def test_a_caller_may_agree_with_the_file(grasps, tmp_path):
    path = tmp_path / "g.json"
    write_grasps(path, grasps)
    read = read_grasps(path, unit="m", frame="gripper")
    np.testing.assert_array_equal(read.poses, grasps.poses)


@pytest.mark.parametrize("name", ["g.json", "g.h5", "g.yaml"])
def test_a_caller_must_not_contradict_the_file(name, grasps, tmp_path):
    path = tmp_path / name
    write_grasps(path, grasps)
    with pytest.raises(
        InputError, match="states the unit m, which contradicts the requested unit mm"
    ):
        read_grasps(path, unit="mm")
    with pytest.raises(
        InputError, match=r"a frame .* that contradicts the requested frame panda_flange"
    ):
        read_grasps(path, frame="panda_flange")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"unit": "furlong"}, "the unit must be one of m, cm, mm, inch, got 'furlong'"),
        ({"frame": "tcp"}, "the frame must be one of gripper, .* got 'tcp'"),
    ],
)
def test_unknown_units_and_frames_are_refused(options, sentence, grasps, tmp_path):
    path = tmp_path / "g.json"
    write_grasps(path, grasps)
    with pytest.raises(InputError, match=sentence):
        read_grasps(path, **options)

"""`grasp sample` on scans: the options for scans, the frame of the grasps, and pictures of both."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from trimesh.creation import box, icosphere

from grasp.field.configuration import FieldConfig
from grasp.field.model import KIND
from grasp.field.networks.energy import NetworkConfig
from grasp.field.trained import GraspField
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.objects.object import CAMERA_FRAME, Object
from grasp.pictures import SURROUNDINGS, PictureSettings, draw_grasps, settings_for
from grasp.scenes.scene import PlacedBox, Scene
from pcdiff.learning import checkpoint

TINY = FieldConfig(energy=NetworkConfig(16, 1, 4), success=NetworkConfig(8, 1, 4))


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    model = GraspField.initialized(TINY, 0)
    checkpoint.save(path, KIND, {"model": TINY.as_dict()}, model.state_dict())
    return path


def points_of(mesh, count=400, seed=0):
    obj = Object.from_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    return obj.surface(count, np.random.default_rng(seed))[0]


def sample(run, cloud, weights, *options):
    return run(
        "sample", cloud, "--weights", weights, "--count", 2, "--steps", 2,
        "--least-probability", 0, *options,
    )  # fmt: skip


def test_a_scan_is_cleaned_and_moved_to_the_base(run, weights, tmp_path):
    scan, output = tmp_path / "scan.npy", tmp_path / "g.json"
    cloud = points_of(box((0.03, 0.04, 0.12))) + np.array([0, 0, 0.6])
    np.save(scan, np.vstack([cloud, np.zeros((1, 3))]))
    pose = np.diag([1.0, -1, -1, 1])
    pose[:3, 3] = 0.5, 0, 0.8
    numbers = " ".join(map(str, pose.reshape(-1)))
    done = sample(
        run, scan, weights, "--camera-pose", numbers, "--viewpoint", "-0.1", "0", "0",
        "--output", output, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    remark = f"{scan}: left out 1 of 401 points: 1 stray point"
    assert done.err.splitlines() == [remark]
    results = json.loads(done.out)["results"]
    assert results["frame"] == "robot base" and results["remarks"] == [remark]
    document = json.loads(output.read_text())
    assert document["frame"] == "robot base" and document["remarks"] == [remark]
    grasps = read_grasps(output)
    assert grasps.frame == "robot base" and grasps.remarks == (remark,)
    base = cloud @ pose[:3, :3].T + pose[:3, 3]
    middle = grasps.poses @ np.array([0, 0, 0.1034, 1])
    assert (np.linalg.norm(middle[:, :3] - base.mean(axis=0), axis=1) < 0.5).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "(--piece)"),
        (("--piece", 3), "from 1 to 2, or 0 for everything, got 3 (--piece)"),
        (("--object", "mug"), "it has no named objects (--object)"),
        (("--mask-id", 2), "is not a depth image"),
        (("--camera-pose", "1 2 3"), "16 numbers of a 4 x 4 matrix"),
        (("--camera-pose", "nowhere.txt"), "nowhere.txt does not exist"),
    ],
)
def test_bad_options_for_a_scan(run, weights, tmp_path, options, words):
    scan = tmp_path / "scan.npy"
    other = points_of(icosphere(3, 0.03), 300) + np.array([0.4, 0, 0])
    np.save(scan, np.vstack([points_of(icosphere(3, 0.04)), other]))
    done = sample(run, scan, weights, *options)
    assert done.code == 2
    assert words in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("ending", ["json", "h5", "yaml"])
def test_files_keep_the_frame(ending, tmp_path):
    path = tmp_path / f"g.{ending}"
    grasps = Grasps(np.eye(4)[None], gripper="panda", frame="camera", remarks=("a: b", "c"))
    write_grasps(path, grasps)
    again = read_grasps(path)
    assert again.frame == "camera"
    assert again.remarks == (("a: b", "c") if ending != "yaml" else ())


def test_a_view_is_drawn_upright(panda):
    """A pole that stands up for the camera, towards −y, is above the plate at its foot."""
    plate = points_of(box((0.1, 0.01, 0.1)), 600)
    pole = points_of(box((0.01, 0.1, 0.01)), 600, 1) + np.array([0, -0.055, 0])
    cloud = Object.from_points(np.vstack([plate, pole]) + np.array([0, 0, 0.7]))
    seen = dataclasses.replace(cloud, frame=CAMERA_FRAME)
    settings = dataclasses.replace(settings_for(seen), width=40, height=40, samples=1)
    picture = draw_grasps(seen, panda, np.empty((0, 4, 4)), settings=settings)
    width = (picture.min(axis=2) < 200).sum(axis=1)
    rows = np.flatnonzero(width)
    assert width[rows[2]] < 8  # the pole
    assert width[rows[-6]] > 12  # the plate
    assert settings_for(cloud) == PictureSettings()


def test_the_scene_is_drawn_where_it_is(panda):
    obj = Object.from_mesh(
        np.asarray(box((0.02,) * 3).vertices), np.asarray(box((0.02,) * 3).faces)
    )
    T_world_object = np.eye(4)
    T_world_object[:3, 3] = 1, 2, 3
    T_world_box = np.eye(4)
    T_world_box[:3, 3] = 1, 2, 3.06
    scene = Scene(
        boxes=(PlacedBox(np.array([0.02, 0.02, 0.02]), T_world_box),), T_world_object=T_world_object
    )
    settings = PictureSettings(direction=(0.0, -1.0, 0.0), width=40, height=60, samples=1)
    nothing = np.empty((0, 4, 4))
    picture = draw_grasps(obj, panda, nothing, settings=settings, scene=scene)
    bluish = picture[..., 2].astype(int) - picture[..., 0] > 8
    reddish = picture[..., 0].astype(int) - picture[..., 2] > 8
    assert SURROUNDINGS[2] > SURROUNDINGS[0]
    assert bluish.sum() > 20 and reddish.sum() > 20
    assert np.nonzero(bluish)[0].max() < np.nonzero(reddish)[0].min()

"""Which grasp files and labels an evaluation accepts and which it refuses."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from trimesh.creation import box

from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging.request import EvaluationRequest
from grasp.judging.sources import kept_labels, named_source
from grasp.objects.object import Object
from pcdiff.errors import InputError

PHYSICS = {"protocol": "7", "friction": 0.75}


def bar(scale=1.0, **more):
    mesh = box((0.03 / scale, 0.03 / scale, 0.12 / scale))
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces)
    return Object.from_mesh(vertices, faces, name="bar", file="bar.obj", scale=scale, **more)


def row(count):
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 0.01 * np.arange(count)
    return poses


def asked(path, obj, count=10, **options):
    source = named_source(str(path), [obj], load_gripper("panda"), **options)
    return source(obj, count, np.random.default_rng(0))


# --- Sources --------------------------------------------------------------------------------------


def test_the_first_grasps_of_a_file_are_used(tmp_path):
    path = tmp_path / "grasps.json"
    write_grasps(path, Grasps(row(5), energy=np.arange(5.0)))
    found = asked(path, bar(), 3)
    np.testing.assert_array_equal(found.poses, row(5)[:3])
    assert found.energy.tolist() == [0, 1, 2]
    assert len(asked(path, bar(), 6)) == 5


def test_grasps_of_another_geometry_are_refused(tmp_path):
    path = tmp_path / "grasps.json"
    write_grasps(path, Grasps(row(2), object_sha256=bar().sha256))
    assert len(asked(path, bar())) == 2
    write_grasps(path, Grasps(row(2), object_sha256="0" * 64))
    with pytest.raises(InputError, match=r"grasps.json belong to another geometry than bar.obj"):
        asked(path, bar())


def test_grasps_at_another_scale_are_refused(tmp_path):
    """Without a digest the stated scale decides, but a scale of 1 may mean that none is stated."""
    path = tmp_path / "grasps.json"
    write_grasps(path, Grasps(row(2), object_scale=0.001))
    assert len(asked(path, bar(scale=0.001))) == 2
    for scale in (1.0, 0.01):
        with pytest.raises(InputError, match=f"at scale 0.001, but bar.obj is at scale {scale:g}"):
            asked(path, bar(scale=scale))
    write_grasps(path, Grasps(row(2)))
    assert len(asked(path, bar(scale=0.001))) == 2
    write_grasps(path, Grasps(row(2), object_scale=0.001, object_sha256=bar().sha256))
    assert len(asked(path, bar())) == 2  # the digest describes the scaled geometry


def test_frame_and_unit_are_refused_without_a_file(panda):
    for option in ({"frame": "panda_hand"}, {"unit": "m"}):
        with pytest.raises(InputError, match="to grasp files only, but the source is antipodal"):
            named_source("antipodal", [bar()], panda, **option)


# --- Labels ---------------------------------------------------------------------------------------


class Physics:
    """Physics in which every other grasp holds; it counts its calls."""

    def __init__(self):
        self.asked = 0

    def __call__(self, obj, gripper, poses):
        self.asked += 1
        success = np.arange(len(poses)) % 2 == 0
        failure = np.where(success, "", "dropped")
        width = np.full(len(poses), 0.01)
        return SimpleNamespace(
            success=success, failure=failure, width=width, mass=0.1, warning=None, **PHYSICS
        )


def test_labels_are_created_once_and_reused(tmp_path, panda):
    physics = Physics()
    labels = kept_labels(tmp_path, panda, physics, count=20, seed=3, physics=PHYSICS)
    made, again = labels(bar()), labels(bar())
    assert physics.asked == 1
    np.testing.assert_array_equal(made.poses, again.poses)
    np.testing.assert_array_equal(made.success, again.success)
    assert (again.protocol, again.friction) == ("7", 0.75)


OWN = ((bar().vertices, bar().faces),)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"count": 21}, "its count is 20, expected 21"),
        ({"seed": 4}, "its seed is 3, expected 4"),
        ({"physics": {**PHYSICS, "friction": 0.5}}, "its physics is"),
        ({"gripper": {"stroke": 0.05}}, "its gripper_sha256 is"),
        ({"gripper": {"max_force": 5.0}}, "its gripper_sha256 is"),
        ({"parts": OWN}, "its parts is {'cover'"),
    ],
)
def test_labels_made_under_different_conditions_are_refused(tmp_path, panda, change, sentence):
    """This includes another gripper with the same name and an object with the same surface."""
    given = {"count": 20, "seed": 3, "physics": PHYSICS}
    kept_labels(tmp_path, panda, Physics(), **given)(bar())
    (path,) = tmp_path.iterdir()
    hand = dataclasses.replace(panda, **change.get("gripper", {}))
    obj = bar(parts=change.get("parts"))
    given |= {name: value for name, value in change.items() if name in given}
    physics = Physics()
    with pytest.raises(InputError, match=f"{path.name} was made under .* conditions: {sentence}"):
        kept_labels(tmp_path, hand, physics, **given)(obj)
    assert physics.asked == 0


def test_labels_without_stated_conditions_are_refused(tmp_path, panda):
    given = {"count": 20, "seed": 3, "physics": PHYSICS}
    labels = kept_labels(tmp_path, panda, Physics(), **given)
    labels(bar())
    (path,) = tmp_path.iterdir()
    kept = read_grasps(path)
    write_grasps(path, dataclasses.replace(kept, sampler=None))
    with pytest.raises(InputError, match="its name is None, expected antipodal candidates"):
        labels(bar())
    write_grasps(path, dataclasses.replace(kept, success=None, failure=None))
    with pytest.raises(InputError, match="has no labels; use another folder"):
        labels(bar())


@pytest.mark.parametrize("option", [{"frame": "panda_hand"}, {"unit": "m"}])
def test_frame_and_unit_are_refused_for_a_field(option):
    with pytest.raises(InputError, match="to grasp files only, but the source is the field panda"):
        EvaluationRequest(weights="panda", **option)

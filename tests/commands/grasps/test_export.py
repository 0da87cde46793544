"""`grasp export`: the grasps of a file in another format."""

from __future__ import annotations

import json

import numpy as np
import pytest

from grasp.formats import read_grasps
from grasp.poses.frames import to_frame


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.npz", "a.h5", "a.yaml", "a.json"])
def test_poses_are_the_same_in_every_format(name, run, three, tmp_path):
    done = run("export", three, "--output", tmp_path / name, "--json")
    assert done.code == 0, done.err
    results = json.loads(done.out)["results"]
    assert (results["grasps"], results["gripper"]) == (3, "panda")
    back = read_grasps(tmp_path / name, gripper="panda")
    np.testing.assert_allclose(back.poses, read_grasps(three).poses, atol=1e-15)


def test_format_and_frame_can_be_chosen(run, three, tmp_path):
    assert run("export", three, "--output", tmp_path / "a.json", "--format", "graspgen").code == 0
    assert "transforms" in json.loads((tmp_path / "a.json").read_text("utf-8"))["grasps"]
    assert (
        run("export", three, "--output", tmp_path / "a.csv", "--hand-frame", "panda_hand").code == 0
    )
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=2, usecols=(0, 1, 2))
    expected = to_frame(read_grasps(three).poses, "panda_hand")
    np.testing.assert_allclose(table, expected[:, :3, 3], atol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("{three}", "--output", "a.pkl"), "cannot write a.pkl"),
        (("{three}", "--output", "{to}/a.json", "--hand-frame", "tcp"), "must be one of gripper"),
        (("{three}", "--output", "{to}/a.json", "--format", "moveit"), "the format must be one of"),
        (("{npy}", "--output", "{to}/a.json"), "state the gripper, whose"),
        (("{npz}", "--output", "{to}/a.json"), "contains pickled Python objects"),
    ],
)
def test_bad_input_ends_in_one_sentence(arguments, sentence, run, three, tmp_path):
    np.save(tmp_path / "g.npy", np.zeros((1, 17)))
    np.savez(tmp_path / "g.npz", pred_grasps_cam={1: 2})
    places = {"three": three, "npy": tmp_path / "g.npy", "npz": tmp_path / "g.npz", "to": tmp_path}
    done = run("export", *(each.format(**places) for each in arguments))
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err and len(done.err.splitlines()) == 1

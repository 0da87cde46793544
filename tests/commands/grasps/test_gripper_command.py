"""`grasp gripper`: a gripper file from a URDF."""

from __future__ import annotations

import functools
import json

import pytest

from grasp import pictures
from grasp.grippers.gripper import load_gripper
from tests.grippers.test_from_urdf import hand, jaw


def test_it_writes_the_gripper_and_its_picture(run, tmp_path, monkeypatch):
    # A small picture, because drawing takes seconds and has its own test.
    small = functools.partial(pictures.draw_gripper, size=60)
    monkeypatch.setattr(pictures, "draw_gripper", small)
    output, picture = tmp_path / "g.toml", tmp_path / "g.png"
    done = run("gripper", hand(tmp_path), "--output", output, "--picture", picture, "--json")
    assert done.code == 0, done.err
    results = json.loads(done.out)["results"]
    assert (results["name"], results["stroke"], results["pad"]) == ("two_jaws", 0.06, [0.09, 0.11])
    assert results["files"] == [str(output), str(picture)]
    assert load_gripper(output).stroke == 0.06
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--output", "g.json"), "must be written to a file that ends in .toml"),
        (("--output", "{to}/g.toml", "--picture", "g.jpg"), "to a file that ends in .png"),
        (("--output", "{to}/g.toml", "--approach", "+x"), "perpendicular to the motion of the"),
        (("--output", "{to}/g.toml", "--approach", "up"), "got 'up' (--approach)"),
        (("--output", "{to}/g.toml", "--mass", "0"), "(--mass)"),
        (("--output", "{to}/g.toml", "--name", "panda"), "(--name)"),
    ],
)
def test_bad_input_ends_in_one_sentence(options, sentence, run, tmp_path):
    done = run("gripper", hand(tmp_path), *(each.format(to=tmp_path) for each in options))
    assert (done.code, done.out) == (2, "") and sentence in done.err
    assert len(done.err.splitlines()) == 1 and not (tmp_path / "g.toml").exists()


def test_an_unsuitable_hand_is_refused(run, tmp_path):
    done = run("gripper", hand(tmp_path, jaw("right", 1)), "--output", tmp_path / "g.toml")
    assert done.code == 2 and "must have two prismatic joints, got 1" in done.err

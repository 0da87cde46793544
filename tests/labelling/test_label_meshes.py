"""`grasp label`: training data from meshes, without the checkout."""

from __future__ import annotations

import json

import numpy as np
import pytest
from trimesh.creation import box

import datasets.labels.folder
from datasets.labels import label_folder
from grasp import cli
from grasp.field.items import grippers_in, read_items
from grasp.field.prepared import Recipe
from grasp.formats import read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.labelling import request
from grasp.labelling.folder import Assumptions
from grasp.labelling.jobs import Settings, attempt
from grasp.labelling.request import label_meshes, meshes_to_label
from grasp.objects.loading import load_object
from grasp.physics import Conditions, simulate
from pcdiff import console
from pcdiff.errors import InputError
from pcdiff.locks import only_process

COUNT = 6


def here(work, jobs, workers=0):
    """`on_cores` in this process, because starting a process takes longer than labelling."""
    for job in jobs:
        yield job, work(job)


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(request, "on_cores", here)
    monkeypatch.setattr(datasets.labels.folder, "on_cores", here)


@pytest.fixture
def meshes(tmp_path):
    """Two boxes with themselves as their convex parts, one in a folder."""
    paths = [tmp_path / "in" / "a.obj", tmp_path / "in" / "more" / "b.obj"]
    for path, size in zip(paths, ((0.03, 0.04, 0.1), (0.05, 0.02, 0.06)), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = box(size).export(file_type="obj")
        path.write_text(text)
        path.with_name(f"{path.stem}.parts.obj").write_text(f"o part_0\n{text}")
    return paths[0], paths[1].parent


@pytest.fixture
def settings():
    return Settings(load_gripper("panda"), COUNT, seed=7)


@pytest.mark.usefixtures("in_this_process")
def test_labels_are_those_of_the_maker_in_the_checkout(meshes, settings, tmp_path):
    """And so those of the candidates in physics, which tests/datasets/labels holds."""
    done = label_meshes(meshes, tmp_path / "out", settings)
    assert (done.made, done.kept, done.skipped) == (2, 0, ())
    kept = tmp_path / "out" / "grasps" / "panda"
    assert sorted(path.name for path in kept.glob("*.h5")) == ["a_obj.h5", "b_obj.h5"]
    label_folder(tmp_path / "in" / "more", settings, workers=1)
    theirs = read_grasps(tmp_path / "in" / "more" / "grasps" / "panda" / "b_obj.h5")
    ours = read_grasps(kept / "b_obj.h5")
    np.testing.assert_array_equal(ours.poses, theirs.poses)
    np.testing.assert_array_equal(ours.failure, theirs.failure)
    np.testing.assert_array_equal(ours.width, theirs.width)
    assert ours.object_file == "meshes/b.obj" and ours.object_sha256 == theirs.object_sha256
    outcomes = simulate(
        load_object(tmp_path / "out" / "meshes" / "a.obj"),
        settings.gripper,
        (first := read_grasps(kept / "a_obj.h5")).poses,
        Conditions(mass=first.mass, friction=first.friction),
    )
    np.testing.assert_array_equal(first.success, outcomes.success)
    assert done.card["command"].startswith("grasp label MESHES --output FOLDER --gripper panda")


@pytest.mark.usefixtures("in_this_process")
def test_training_reads_the_folder(meshes, settings, tmp_path):
    out = tmp_path / "out"
    label_meshes(meshes, out, settings)
    (hand,) = grippers_in(out, [])
    assert hand.sha256 == settings.gripper.sha256
    recipe = Recipe(0, full=1, views=0, distances=0)
    items = read_items(out, [hand], tmp_path / "cache", recipe)
    assert [item.name for item in items] == ["a_obj", "b_obj"]
    stored = read_grasps(out / "grasps/panda/a_obj.h5")
    np.testing.assert_allclose(items[0].candidates.poses, stored.poses, atol=1e-6)
    np.testing.assert_array_equal(items[0].candidates.success, stored.success)


@pytest.mark.usefixtures("in_this_process")
def test_a_killed_run_continues_with_the_missing_objects(meshes, settings, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    label_meshes(meshes, whole, settings)
    worked = []

    def killed(job):
        if worked:
            raise KeyboardInterrupt
        worked.append(job.name)
        return attempt(job)

    monkeypatch.setattr(request, "attempt", killed)
    with pytest.raises(KeyboardInterrupt):
        label_meshes(meshes, out, settings)
    assert [path.name for path in (out / "grasps/panda").glob("*.h5")] == ["a_obj.h5"]
    monkeypatch.setattr(request, "attempt", attempt)
    done = label_meshes(meshes, out, settings)
    assert (done.made, done.kept) == (1, 1)
    for name in ("a_obj.h5", "b_obj.h5", "gripper.toml"):
        ours, theirs = (each / "grasps/panda" / name for each in (out, whole))
        assert ours.read_bytes() == theirs.read_bytes()
    again = Settings(settings.gripper, COUNT, seed=8)
    with pytest.raises(InputError, match="made under different conditions: seed must be 8, got 7"):
        label_meshes(meshes, out, again)


@pytest.mark.usefixtures("in_this_process")
def test_only_one_process_labels_into_a_folder(meshes, settings, tmp_path):
    out = tmp_path / "out"
    with (
        only_process(out / "grasps" / "panda"),
        pytest.raises(InputError, match="another process writes into"),
    ):
        label_meshes(meshes, out, settings)
    assert label_meshes(meshes, out, settings).made == 2


@pytest.mark.usefixtures("in_this_process")
def test_a_scale_and_a_friction_are_assumed(meshes, settings, tmp_path):
    path = tmp_path / "mm.obj"
    path.write_text(box((30.0, 40.0, 100.0)).export(file_type="obj"))
    path.with_name("mm.parts.obj").write_text(f"o part_0\n{path.read_text()}")
    done = label_meshes([path], tmp_path / "out", settings, Assumptions(0.001, 500.0, 0.4))
    found = read_grasps(tmp_path / "out/grasps/panda/mm_obj.h5")
    assert (found.object_scale, found.friction) == (0.001, 0.4)
    assert found.mass == pytest.approx(500 * 0.03 * 0.04 * 0.1, rel=1e-3)
    assert "--scale 0.001 --density 500 --friction 0.4" in done.card["command"]


@pytest.mark.usefixtures("in_this_process")
def test_unusable_meshes_are_skipped_and_others_refused(meshes, settings, tmp_path):
    (tmp_path / "empty.obj").write_text("v 0 0 0\n")
    done = label_meshes([tmp_path / "empty.obj", meshes[0]], tmp_path / "out", settings)
    assert done.made == 1 and len(done.skipped) == 1 and "empty" in done.skipped[0]
    with pytest.raises(InputError, match="no mesh can be labelled; the first error is: empty_obj"):
        label_meshes([tmp_path / "empty.obj"], tmp_path / "none", settings)
    meshes[0].write_text(meshes[0].read_text() + "\n# changed\n")
    with pytest.raises(InputError, match=r"meshes/a.obj is another mesh than .*in/a\.obj"):
        label_meshes([meshes[0]], tmp_path / "out", settings)


def test_names_in_the_folder_are_unique(meshes, tmp_path):
    found = meshes_to_label([tmp_path / "in"])
    assert [each.place.as_posix() for each in found] == ["a.obj", "more/b.obj"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "A.obj").write_text("")
    with pytest.raises(InputError, match="would have the same name in the output folder"):
        meshes_to_label([meshes[0], tmp_path / "other" / "A.obj"])
    with pytest.raises(InputError, match="does not exist"):
        meshes_to_label([tmp_path / "nothing.obj"])
    with pytest.raises(InputError, match="expected at least one mesh"):
        meshes_to_label([])


@pytest.mark.usefixtures("in_this_process")
def test_the_command(meshes, tmp_path, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            console.run(cli.app, ["label", *map(str, arguments)])
        return end.value.code, *capsys.readouterr()

    options = ("--output", tmp_path / "out", "--count", 3)
    code, out, err = run(meshes[0], *options, "--json")
    assert (code, err) == (0, "")
    results = json.loads(out)["results"]
    assert (results["made"], results["grasps"], results["card"]["objects"]) == (1, 3, 1)
    code, out, _ = run(meshes[0], *options)
    assert code == 0 and "1 objects already had labels" in out
    for wrong, sentence in (
        (("--uncertain", "--friction", 0.3), "--friction has no effect with --uncertain"),
        (("--scale", 0), "the scale must be a finite number above 0"),
        (("--protocol", 9), "(--protocol)"),
        (("--gripper", "hook"), "there is no gripper 'hook'"),
    ):
        code, out, err = run(meshes[0], *options, *wrong)
        assert (code, out) == (2, "") and sentence in err and len(err.splitlines()) == 1

"""`grasp evaluate --set`: from a frozen set on disk to figures, a table and a picture."""

from __future__ import annotations

import hashlib
import inspect
import json

import numpy as np
import pytest
from PIL import Image
from trimesh.creation import box

from grasp.commands import evaluate, simulate
from grasp.judging.benchmark import SET_FILE, sealed, set_document
from grasp.objects.loading import load_object
from grasp.objects.views import look_at, render_view, write_view
from grasp.physics import PROTOCOL

STANDING = np.diag([1.0, 1.0, 1.0, 1.0])
STANDING[2, 3] = 0.2


@pytest.fixture
def sets(tmp_path):
    """A set of a bar in two poses on a table, one seen from one side, and a large cube."""
    folder = tmp_path / "sets" / "small"
    (folder / "meshes").mkdir(parents=True)
    (folder / "views").mkdir()
    for name, sides in (("bar", (0.03, 0.04, 0.12)), ("cube", (0.2, 0.21, 0.22))):
        solid = box(sides).export(file_type="obj")
        (folder / f"meshes/{name}.obj").write_text(solid)
        (folder / f"meshes/{name}.parts.obj").write_text("o part\n" + solid)
    view = render_view(
        load_object(folder / "meshes/bar.obj"), look_at(np.array([0.3, -0.4, 0.5]), np.zeros(3))
    )
    write_view(folder / "views/bar.npz", view)
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.*")
    }
    bar = {"group": "bar", "truth": "meshes/bar.obj", "origin": {}}
    standing = {"T_table_object": STANDING.tolist()}
    cube = {"truth": "meshes/cube.obj", "seen": "meshes/cube.obj", "T_table_object": None}
    cases = [
        {"name": "bar-1", "seen": "meshes/bar.obj", **standing, **bar},
        {"name": "bar-2", "seen": "views/bar.npz", **standing, **bar},
        {"name": "cube", "group": "cube", "origin": {}, **cube},
    ]
    content, _ = sealed(set_document("small", "A small set.", "MIT", files, cases))
    (folder / SET_FILE).write_bytes(content)
    return folder.parent


def evaluated(run, sets, *options):
    return run(
        "evaluate", "--set", "small", "--sets", sets, "--samples", "3", "--candidates", "12",
        "--workers", "1", *options,
    )  # fmt: skip


def test_a_set_is_judged(run, sets, tmp_path):
    grasps = tmp_path / "grasps"
    grasps.mkdir()
    picture = tmp_path / "sheet.png"
    done = evaluated(run, sets, "--picture", picture, "--json")
    assert done.code == 0, done.err
    results = json.loads(done.out)["results"]
    stated = json.loads((sets / "small" / SET_FILE).read_text())["digest"]
    assert (results["set"], results["set_sha256"]) == ("small", stated)
    assert results["table"].endswith(f"Frozen set small, SHA-256 {stated}.")
    assert "success (protocol 3), %" in results["table"]
    whole, view, cube = results["by_object"]
    assert [each["object"] for each in results["by_object"]] == ["bar-1", "bar-2", "cube"]
    assert [each["group"] for each in results["by_object"]] == ["bar", "bar", "cube"]
    assert (results["objects"], results["objects_that_fit"]) == (3, 2)
    assert (cube["fits"], cube["grasps"]) == (False, 0)
    # Physics tries the same candidates of the same mesh, whatever the source saw.
    assert whole["sha256"] == view["sha256"]
    assert whole["positives"] == view["positives"] > 0
    # A mesh has no hidden side; and from one side, no two opposite contacts are seen.
    assert whole["grasps"] == 3 and 0 <= whole["robust_all"] <= 1
    assert whole["collides_hidden"] is None and whole["lift"] is not None
    assert (view["grasps"], view["robust_all"], view["lift"]) == (0, 0.0, None)
    assert results["refused_that_fit"] == 1
    assert results["robust_all_interval"] is None  # both bars are one group
    with Image.open(picture) as image:
        assert image.size == (2 * 240, 2 * 267)


def test_a_set_is_judged_under_another_protocol_without_draws(run, sets):
    done = evaluated(run, sets, "--protocol", "2", "--no-robust", "--friction", "0.3", "--json")
    assert done.code == 0, done.err
    results = json.loads(done.out)["results"]
    assert "success (protocol 2), %" in results["table"]
    assert not any(key.startswith("robust_all") for key in results)
    physics = results["conditions"]["physics"]
    assert physics == {"protocol": "2", "friction": 0.3, "density": 150.0}


def test_a_set_that_was_changed_by_a_byte_is_refused(run, sets):
    path = sets / "small" / "meshes" / "bar.obj"
    path.write_bytes(path.read_bytes() + b"\n")
    done = evaluated(run, sets)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ") and len(done.err.splitlines()) == 1
    assert "bar.obj was changed since the set was made" in done.err


@pytest.mark.parametrize("option", ["--picture", "--labels"])
def test_what_cannot_be_written_costs_no_physics(run, sets, tmp_path, monkeypatch, option):
    def never(*args, **options):
        raise AssertionError("there is nowhere to write to")

    monkeypatch.setattr("grasp.judging.laboratory.simulate", never)
    (tmp_path / "file").write_text("")
    done = evaluated(run, sets, option, tmp_path / "file" / "sheet.png")
    assert (done.code, done.out) == (2, "")
    assert "cannot write into" in done.err and len(done.err.splitlines()) == 1


def test_the_commands_default_to_the_default_protocol():
    """They name it by its version, because an import of the physics would slow the start."""
    for command in (evaluate.evaluate, simulate.simulate):
        assert inspect.signature(command).parameters["protocol"].default == PROTOCOL.version

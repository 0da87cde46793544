"""`grasp simulate` and `grasp evaluate` say in one sentence what they cannot use."""

from __future__ import annotations

import numpy as np
import pytest

from grasp.formats import Grasps, write_grasps


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("simulate", "{bar}", "nowhere.json"), "nowhere.json does not exist"),
        (("simulate", "{bar}", "grasps.txt"), "grasps.txt is not a grasp file"),
        (("simulate", "nowhere.obj", "{three}"), "nowhere.obj"),
        (("simulate", "{bar}", "{three}", "--gripper", "hook"), "there is no gripper 'hook'"),
        (("evaluate", "{bar}", "--device", "tpu"), "the device must be cpu, cuda or cuda:N"),
        (("evaluate", "{bar}", "--view"), "name the weights of a field (--view)"),
        (
            ("simulate", "{bar}", "{three}", "--trial", "1"),
            "--trial selects the trial in the picture",
        ),
        (
            ("simulate", "{bar}", "{three}", "--trial", "3", "--picture", "x.png"),
            "--trial must be 0 to 2",
        ),
        (("simulate", "{bar}", "{three}", "--mass", "-1"), "mass must be a number above 0"),
        (("simulate", "{bar}", "{three}", "--friction", "nan"), "friction must be"),
        (("simulate", "{bar}", "{three}", "--unit", "ell"), "'ell' is not one of"),
        (("simulate", "{bar}", "{three}", "--unit", "m"), "its unit is probably mm"),
        (("simulate", "{bar}", "{three}", "--output", "x.txt"), "cannot write x.txt"),
        (("simulate", "{bar}", "{three}", "--mass", "1e300"), "mass must be at most 10000 kg"),
        (("simulate", "{bar}", "{three}", "--workers", "9999"), "workers, 4 for each CPU core"),
        (("evaluate", "{bar}", "--samples", "1000001"), "'--samples'"),
        (("evaluate", "{bar}", "--candidates", "100000000000"), "'--candidates'"),
        (("evaluate", "{bar}", "{copy}", "--unit", "mm"), "copy.obj has the same geometry as"),
        (("simulate", "{bar}", "{none}"), "has no grasps: nothing fits"),
        (("simulate", "{cloud}", "{three}"), "is a point cloud, but physics needs a mesh"),
        (("simulate", "{bar}"), "Missing argument"),
        (("evaluate",), "name either meshes or one --set"),
        (("evaluate", "{bar}", "--set", "small"), "name either meshes or one --set"),
        (("evaluate", "--set", "small", "--scale", "2"), "--scale and --unit apply to meshes"),
        (("evaluate", "--set", "small", "--unit", "mm"), "--scale and --unit apply to meshes"),
        (("evaluate", "--set", "small", "--sets", "none"), "small does not exist or is not a f"),
        (("evaluate", "{bar}", "--unit", "mm", "--protocol", "4"), "must be 2 or 3, got '4' (--"),
        (("evaluate", "{bar}", "--unit", "mm", "--engine", "flex"), "must be drake, got 'flex' ("),
        (
            ("evaluate", "{bar}", "--unit", "mm", "--friction", "0.3"),
            "robust success draws the friction, so it takes none, got 0.3 (--friction)",
        ),
        (("simulate", "{bar}", "{three}", "--protocol", "4"), "must be 2 or 3, got '4' (--protoco"),
        (
            ("simulate", "{bar}", "{three}", "--robust", "--friction", "0.3"),
            "--robust draws the friction, so it cannot be combined with --friction",
        ),
        (("evaluate", "{bar}", "--unit", "mm", "--samples", "0"), "--samples"),
        (("evaluate", "{bar}", "--unit", "mm", "--source", "magic"), "got 'magic'"),
        (
            ("evaluate", "{bar}", "{bar}", "--unit", "mm", "--source", "{three}"),
            "has the grasps of one object, but 2 objects are to be judged",
        ),
        (("evaluate", "{bar}", "--seed", "-1"), "--seed"),
        (
            ("evaluate", "{bar}", "--unit", "mm", "--frame", "panda_hand"),
            "applies to grasp files only, but the source is antipodal",
        ),
        (
            ("evaluate", "{bar}", "--unit", "mm", "--grasp-unit", "m"),
            "applies to grasp files only, but the source is antipodal",
        ),
        (("evaluate", "{cloud}"), "is a point cloud, but physics needs a mesh"),
        (("grip",), "No such command"),
    ],
)
def test_bad_input_ends_in_one_sentence(run, bar, three, tmp_path, arguments, sentence):
    cloud = tmp_path / "cloud.xyz"
    np.savetxt(cloud, np.random.default_rng(0).uniform(0, 100, (60, 3)))
    cloud_scale = ("--unit", "mm") if "{cloud}" in arguments else ()
    none = tmp_path / "none.json"
    write_grasps(none, Grasps(np.empty((0, 4, 4)), reason="nothing fits"))
    copy = tmp_path / "copy.obj"
    copy.write_text(bar.read_text())
    places = {"bar": bar, "three": three, "cloud": cloud, "none": none, "copy": copy}
    done = run(*(argument.format(**places) for argument in arguments), *cloud_scale)
    assert done.code == 2
    assert done.out == ""
    assert sentence in done.err
    assert len(done.err.splitlines()) == 1 and done.err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("simulate", "{bar}", "{three}", "--picture", "{new}/x.jpg"), "ends in .png, got"),
        (("simulate", "{bar}", "{three}", "--picture", "{three}/x.png"), "cannot write into"),
        (("simulate", "{bar}", "{three}", "--output", "{three}/in/x.h5"), "cannot write into"),
        (("simulate", "{bar}", "{three}", "--output", "{folder}"), "is not a regular file"),
        (("evaluate", "{bar}", "--unit", "mm", "--labels", "{three}"), "cannot write into"),
    ],
)
def test_what_cannot_be_written_costs_no_physics(
    run, bar, three, tmp_path, monkeypatch, arguments, sentence
):
    def never(*args, **options):
        raise AssertionError("there is nowhere to write to")

    monkeypatch.setattr("grasp.physics.simulate", never)
    folder = tmp_path / "folder.h5"
    folder.mkdir()
    before = sorted(tmp_path.rglob("*"))
    places = {"bar": bar, "three": three, "new": tmp_path / "new", "folder": folder}
    done = run(*(argument.format(**places) for argument in arguments))
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err and len(done.err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before

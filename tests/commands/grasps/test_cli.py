"""The `grasp` command: real physics on a bar, and one sentence for what cannot be used."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from trimesh.creation import box

from grasp import pictures
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging import sources
from grasp.judging.antipodal import sample_antipodal
from grasp.judging.evaluation import Budget, evaluate
from grasp.judging.proportions import wilson_interval
from grasp.objects.loading import load_object
from grasp.physics import PROTOCOL, Conditions, cores, simulate


@pytest.fixture
def bar(tmp_path):
    """A bar of 3 x 3 x 12 cm in millimetres, with itself as its exact convex part."""
    solid = box((30.0, 30.0, 120.0))
    lines = ["o part_0"]
    lines += ["v {:g} {:g} {:g}".format(*vertex) for vertex in solid.vertices.tolist()]
    lines += ["f {} {} {}".format(*(np.array(face) + 1)) for face in solid.faces.tolist()]
    for name in ("bar.obj", "bar.parts.obj"):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    return tmp_path / "bar.obj"


def from_above(height):
    """A hand that points down, with its tool centre point on the bar's axis at a height."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = height + 0.1034
    return pose


HOLDS, MISSES, COLLIDES = from_above(0.05), from_above(0.2), from_above(-0.02)


@pytest.fixture
def three(bar, tmp_path):
    obj = load_object(bar, unit="mm")
    path = tmp_path / "three.json"
    grasps = Grasps(
        np.stack([HOLDS, MISSES, COLLIDES]),
        gripper="panda",
        object_file="bar.obj",
        object_scale=0.001,
        object_sha256=obj.sha256,
        mass=0.1,
        friction=0.8,
    )
    write_grasps(path, grasps)
    return path


def results_of(done, command):
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert record["command"] == command
    assert {"version", "seed", "device", "seconds", "cpu_seconds"} <= record.keys()
    return record["results"]


# --- simulate -------------------------------------------------------------------------------------


def test_simulate_tells_what_holds(run, bar, three, tmp_path):
    labelled = tmp_path / "labelled.h5"
    done = run("simulate", bar, three, "--output", labelled, "--json")
    results = results_of(done, "grasp simulate")
    assert results["success_all"] == pytest.approx(1 / 3)
    assert results["success_all_interval"] == pytest.approx(wilson_interval(1, 3))
    assert results["failures"] == {"collision": 1, "missed": 1}
    assert (results["mass"], results["friction"]) == (0.1, 0.8)  # the file's
    assert results["protocol"] == PROTOCOL.version
    found = read_grasps(labelled)
    np.testing.assert_allclose(found.poses, read_grasps(three).poses, atol=1e-12)
    assert found.success.tolist() == [True, False, False]
    assert found.failure.tolist() == ["", "missed", "collision"]
    assert found.width[0] == pytest.approx(0.03, abs=0.001)
    assert (found.protocol, found.mass, found.friction) == (PROTOCOL.version, 0.1, 0.8)
    assert found.object_scale == pytest.approx(0.001)


def test_simulate_speaks_to_a_person(run, bar, three):
    done = run("simulate", bar, three, "--mass", "0.2", "--friction", "0.5", "--workers", "1")
    low, high = wilson_interval(1, 3)
    assert done.code == 0
    assert done.out.splitlines() == [
        f"1 of 3 grasps hold: 33.3 %, 95 % interval {100 * low:.1f} to {100 * high:.1f} % "
        f"(panda, protocol {PROTOCOL.version})",
        "failures: collision 1, missed 1",
    ]
    assert done.err == ""


@pytest.fixture
def spied(monkeypatch):
    """The calls of `simulate`, and how many processes were asked for, before each."""
    calls = []

    @contextlib.contextmanager
    def processes(workers):
        calls.append(workers)
        yield None

    def spy(obj, gripper, poses, **options):
        calls.append({**options, "gripper": gripper.name, "extent": obj.extent})
        conditions = dataclasses.replace(options["conditions"], mass=0.1)
        return simulate(obj, gripper, poses, conditions)

    monkeypatch.setattr("grasp.physics.processes", processes)
    monkeypatch.setattr("grasp.physics.simulate", spy)
    return calls


def test_options_reach_the_physics(run, bar, three, spied):
    run("simulate", bar, three, "--mass", "0.2", "--friction", "0.5", "--threads", "3",
        "--gripper", "robotiq_2f_85", "--unit", "mm")  # fmt: skip
    workers, seen = spied
    assert workers == 3
    assert seen["conditions"] == Conditions(mass=0.2, friction=0.5)
    assert seen["gripper"] == "robotiq_2f_85"
    np.testing.assert_allclose(seen["extent"], [0.03, 0.03, 0.12])


def test_options_reach_the_physics_of_an_evaluation(run, bar, spied):
    """And all its trials share the processes, of which there are as many as cores unless given."""
    done = run("evaluate", bar, "--unit", "mm", "--samples", "2", "--candidates", "5",
        "--density", "321", "--friction", "0.5", "--json")  # fmt: skip
    physics = results_of(done, "grasp evaluate")["conditions"]["physics"]
    assert physics == {"protocol": PROTOCOL.version, "friction": 0.5, "density": 321.0}
    workers, *calls = spied
    assert workers == cores()
    assert len(calls) == 2
    for seen in calls:
        assert seen["conditions"] == Conditions(friction=0.5, density=321.0)


def test_the_gripper_is_the_files_or_must_be_given(run, bar, three, tmp_path):
    other = tmp_path / "other.json"
    write_grasps(other, dataclasses.replace(read_grasps(three), gripper="robotiq_2f_140"))
    results = results_of(run("simulate", bar, other, "--json"), "grasp simulate")
    assert results["gripper"] == "robotiq_2f_140"
    write_grasps(other, dataclasses.replace(read_grasps(three), gripper=None))
    done = run("simulate", bar, other)
    assert done.code == 2
    assert done.err == f"error: {other} does not name its gripper: state the gripper (--gripper)\n"
    assert "(panda, protocol" in run("simulate", bar, other, "--gripper", "panda").out


@pytest.mark.parametrize(
    ("trials", "shown"), [(0, 0), (1, 1), (14, 14), (15, 15), (16, 8), (30, 15), (31, 11)]
)
def test_a_picture_shows_at_most_fifteen_of_each_outcome(monkeypatch, trials, shown):
    seen = []

    def draw(obj, gripper, poses, *, colours):
        seen.append(poses)
        return np.zeros((4, 5, 3), np.uint8)

    monkeypatch.setattr("grasp.pictures.draw_grasps", draw)
    success = np.arange(trials + 3) < trials
    poses = np.tile(np.eye(4), (trials + 3, 1, 1))
    inspect.unwrap(pictures.draw_outcomes)(None, None, poses, success)
    assert len(seen.pop()) == shown + 3


def test_simulate_draws_a_trial(run, bar, three, tmp_path, monkeypatch):
    seen = []

    def draw(obj, gripper, poses, *, colours, opening=None):
        seen.append((poses, colours, opening))
        return np.zeros((4, 5, 3), np.uint8)

    monkeypatch.setattr("grasp.pictures.draw_grasps", draw)
    picture = tmp_path / "trial.png"
    results = results_of(
        run("simulate", bar, three, "--picture", picture, "--trial", "1", "--json"),
        "grasp simulate",
    )
    assert results["trial"] == "fails: missed"
    with Image.open(picture) as image:
        assert image.size == (5, 4)
    (poses, colours, opening) = seen.pop()
    np.testing.assert_allclose(poses, [MISSES])
    assert colours[0, 0] > colours[0, 1]  # red
    assert opening[0] == pytest.approx(0, abs=0.001)
    assert run("simulate", bar, three, "--picture", picture, "--trial", "0").code == 0
    (poses, colours, opening) = seen.pop()
    assert colours[0, 0] < colours[0, 1]  # green
    assert opening[0] == pytest.approx(0.03, abs=0.001)
    assert run("simulate", bar, three, "--picture", picture).code == 0
    (poses, colours, opening) = seen.pop()
    assert len(poses) == 3 and opening is None


def test_another_geometry_is_told(run, bar, three, tmp_path):
    changed = read_grasps(three)
    path = tmp_path / "other.json"
    stated = {"gripper": "panda", "object_scale": 0.001, "object_sha256": "0" * 64}
    write_grasps(path, Grasps(changed.poses, **stated))
    done = run("simulate", bar, path)
    assert done.code == 0
    assert done.err == f"warning: the grasps in {path} belong to another geometry than {bar}\n"


# --- evaluate -------------------------------------------------------------------------------------

SMALL = ("--unit", "mm", "--samples", "8", "--candidates", "60", "--workers", "1")


def test_evaluate_is_the_evaluation(run, bar):
    results = results_of(run("evaluate", bar, *SMALL, "--seed", "2", "--json"), "grasp evaluate")
    obj, panda = load_object(bar, unit="mm"), load_gripper("panda")
    expected = evaluate(
        lambda obj, count, rng: sample_antipodal(obj, panda, count, rng),
        [obj], panda, simulate, name="antipodal", budget=Budget(8, 60, 2),
    ).as_dict()  # fmt: skip
    conditions, table = results.pop("conditions"), results.pop("table")
    assert table.startswith("| object ")
    expected.pop("conditions")
    assert results == json.loads(json.dumps(expected))
    assert {"success_all", "success_top20", "coverage"} <= results.keys()
    assert conditions == {
        "gripper": "panda", "source": "antipodal", "samples": 8, "candidates": 60, "seed": 2,
        "physics": {
            "protocol": PROTOCOL.version,
            "friction": PROTOCOL.friction,
            "density": PROTOCOL.density,
        },
    }  # fmt: skip


def test_labels_are_kept_and_used_again(run, bar, tmp_path, monkeypatch):
    labels = tmp_path / "labels"
    arguments = ("evaluate", bar, *SMALL, "--labels", labels)
    first = results_of(run(*arguments, "--json"), "grasp evaluate")
    (kept,) = labels.iterdir()
    assert len(read_grasps(kept)) == 60

    def never(*args, **options):
        raise AssertionError("the labels are there")

    monkeypatch.setattr(sources, "label_candidates", never)
    assert results_of(run(*arguments, "--json"), "grasp evaluate") == first
    other = run(*arguments, "--friction", "0.3")
    assert other.code == 2
    assert other.err.startswith(
        f"error: {kept} was made under different conditions: its physics is "
    )


def test_evaluate_takes_grasps_from_files(run, bar, three, tmp_path):
    folder = tmp_path / "grasps"
    folder.mkdir()
    write_grasps(folder / "bar.h5", read_grasps(three))
    for source in (three, folder):
        done = run("evaluate", bar, *SMALL, "--source", source, "--json")
        (found,) = results_of(done, "grasp evaluate")["by_object"]
        assert found["grasps"] == 3
        assert found["success_all"] == pytest.approx(1 / 3)
        assert found["failures"] == {"collision": 1, "missed": 1}
    document = json.loads(three.read_text())
    del document["unit"], document["frame"]
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(document))
    arguments = ("evaluate", bar, *SMALL, "--source", bare)
    assert "supply the unit (m, cm, mm, inch) and the frame (gripper" in run(*arguments).err
    done = run(*arguments, "--grasp-unit", "m", "--frame", "gripper", "--json")
    assert results_of(done, "grasp evaluate")["by_object"] == [found]
    (folder / "bar.h5").rename(folder / "rod.h5")
    done = run("evaluate", bar, *SMALL, "--source", folder)
    assert done.code == 2
    assert "must contain one grasp file named bar" in done.err


# --- bad input and start-up -----------------------------------------------------------------------


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
        (("simulate", "{bar}", "{three}", "--output", "x.csv"), "cannot write x.csv"),
        (("simulate", "{bar}", "{three}", "--mass", "1e300"), "mass must be at most 10000 kg"),
        (("simulate", "{bar}", "{three}", "--workers", "9999"), "workers, 4 for each CPU core"),
        (("evaluate", "{bar}", "--samples", "1000001"), "'--samples'"),
        (("evaluate", "{bar}", "--candidates", "100000000000"), "'--candidates'"),
        (("evaluate", "{bar}", "{copy}", "--unit", "mm"), "copy.obj has the same geometry as"),
        (("simulate", "{bar}", "{none}"), "has no grasps: nothing fits"),
        (("simulate", "{cloud}", "{three}"), "is a point cloud, but physics needs a mesh"),
        (("simulate", "{bar}"), "Missing argument"),
        (("evaluate",), "Missing argument"),
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


def test_help_answers_without_heavy_modules():
    program = (
        "import sys\n"
        "sys.argv = ['grasp', '--help']\n"
        "from grasp.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    *text, loaded = done.stdout.splitlines()
    assert "  simulate  Test the grasps in a file by physics simulation." in text
    assert "  evaluate  Judge a source of grasps by physics simulation." in text
    assert {"torch", "numpy", "mujoco", "trimesh", "scipy", "h5py"}.isdisjoint(loaded.split())


@pytest.mark.parametrize("command", ["simulate", "evaluate"])
def test_each_command_takes_the_common_options(run, command):
    done = run(command, "--help")
    assert done.code == 0
    for option in ("--threads", "--json", *(("--seed", "--device") * (command == "evaluate"))):
        assert option in done.out

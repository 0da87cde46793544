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

from grasp import pictures
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging import sources
from grasp.judging.antipodal import sample_antipodal
from grasp.judging.evaluation import Budget, Judge, evaluate
from grasp.judging.labels import label_candidates
from grasp.judging.laboratory import open_laboratory
from grasp.judging.proportions import wilson_interval
from grasp.objects.loading import load_object
from grasp.physics import (
    PROTOCOL,
    PROTOCOLS,
    Conditions,
    cores,
    load_uncertainty,
    simulate,
    simulate_robust,
)
from tests.commands.grasps.conftest import MISSES


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
    assert results["mass"] == 0.1  # the file's
    assert results["friction"] == PROTOCOL.friction  # the file states no protocol for its friction
    assert "robust_all" not in results
    assert results["protocol"] == PROTOCOL.version
    found = read_grasps(labelled)
    np.testing.assert_allclose(found.poses, read_grasps(three).poses, atol=1e-12)
    assert found.success.tolist() == [True, False, False]
    assert found.failure.tolist() == ["", "missed", "collision"]
    assert found.width[0] == pytest.approx(0.03, abs=0.001)
    assert (found.protocol, found.mass, found.friction) == (
        PROTOCOL.version, 0.1, PROTOCOL.friction
    )  # fmt: skip
    assert found.object_scale == pytest.approx(0.001)


@pytest.mark.parametrize("version", PROTOCOLS)
def test_the_friction_of_a_file_counts_under_its_own_protocol_only(run, bar, three, version):
    write_grasps(three, dataclasses.replace(read_grasps(three), protocol="2"))
    for options, friction in (
        ((), 0.8 if version == "2" else PROTOCOLS[version].friction),
        (("--friction", "0.4"), 0.4),
    ):
        done = run("simulate", bar, three, "--protocol", version, "--json", *options)
        results = results_of(done, "grasp simulate")
        assert (results["protocol"], results["friction"]) == (version, friction)
        assert results["mass"] == 0.1


def test_simulate_tells_robust_success(run, bar, three):
    arguments = ("simulate", bar, three, "--robust", "--workers", "1")
    results = results_of(run(*arguments, "--json"), "grasp simulate")
    poses, panda = read_grasps(three).poses, load_gripper("panda")
    expected = simulate_robust(load_object(bar, unit="mm"), panda, poses, Conditions(mass=0.1))
    assert results["robust_by_grasp"] == expected.success.tolist()
    assert results["robust_by_grasp"][1:] == [0.0, 0.0]
    assert results["robust_all"] == pytest.approx(expected.success.mean())
    assert results["robust_grasps"] == expected.robust.sum()
    assert results["uncertainty"] == expected.uncertainty
    assert run(*arguments).out.splitlines()[1] == (
        f"{expected.robust.sum()} of 3 grasps are robust; mean robust success "
        f"{100 * expected.success.mean():.1f} % (uncertainty {expected.uncertainty})"
    )


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

    for module in ("grasp.physics", "grasp.judging.laboratory"):
        monkeypatch.setattr(f"{module}.processes", processes)
        monkeypatch.setattr(f"{module}.simulate", spy)
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
        "--density", "321", "--friction", "0.5", "--no-robust", "--json")  # fmt: skip
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

PLAIN = ("--unit", "mm", "--samples", "8", "--candidates", "60", "--workers", "1", "--no-robust")


def timeless(results):
    """Results of an evaluation without CPU times, which no seed determines."""
    kept = {key: value for key, value in results.items() if not key.startswith("cpu_seconds")}
    if "by_object" in kept:
        kept["by_object"] = [timeless(each) for each in kept["by_object"]]
    if "table" in kept:
        kept["table"] = [line.rsplit("|", 2)[0] for line in kept["table"].splitlines()]
    return kept


@pytest.mark.parametrize("robust", [True, False])
def test_evaluate_is_the_evaluation(run, bar, robust):
    options = ("--unit", "mm", "--samples", "4", "--candidates", "12", "--seed", "2", "--json")
    done = run("evaluate", bar, *options, *(() if robust else ("--no-robust",)))
    results = results_of(done, "grasp evaluate")
    obj, panda = load_object(bar, unit="mm"), load_gripper("panda")
    with open_laboratory(Conditions(), PROTOCOL, robustly=robust) as lab:
        by = Judge(
            lab.simulator, lab.measures,
            labels=lambda obj: label_candidates(obj, panda, lab.labeller, count=12, seed=2),
        )  # fmt: skip
        expected = evaluate(
            lambda obj, count, rng: sample_antipodal(obj, panda, count, rng),
            [obj], panda, by, name="antipodal", budget=Budget(4, 12, 2),
        ).as_dict()  # fmt: skip
    conditions, table = results.pop("conditions"), results.pop("table")
    assert (results.pop("set"), results.pop("set_sha256")) == (None, None)
    assert results.pop("remarks") == []
    assert table.startswith("| object ")
    expected.pop("conditions")
    assert timeless(results) == timeless(json.loads(json.dumps(expected)))
    assert {"success_all", "success_top20", "coverage"} <= results.keys()
    robust_keys = {"robust_all", "robust_all_interval", "robust_top20"}
    assert robust_keys <= results.keys() if robust else not robust_keys & results.keys()
    assert conditions == {
        "gripper": "panda", "source": "antipodal", "samples": 4, "candidates": 12, "seed": 2,
        "physics": {
            "protocol": PROTOCOL.version,
            "friction": PROTOCOL.friction,
            "density": PROTOCOL.density,
            **({"uncertainty": load_uncertainty().version} if robust else {}),
        },
    }  # fmt: skip


def test_labels_are_kept_and_used_again(run, bar, tmp_path, monkeypatch):
    labels = tmp_path / "labels"
    arguments = ("evaluate", bar, *PLAIN, "--labels", labels)
    first = timeless(results_of(run(*arguments, "--json"), "grasp evaluate"))
    (kept,) = labels.iterdir()
    assert len(read_grasps(kept)) == 60

    def never(*args, **options):
        raise AssertionError("the labels are there")

    monkeypatch.setattr(sources, "label_candidates", never)
    assert timeless(results_of(run(*arguments, "--json"), "grasp evaluate")) == first
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
        done = run("evaluate", bar, *PLAIN, "--source", source, "--json")
        (found,) = results_of(done, "grasp evaluate")["by_object"]
        assert found["grasps"] == 3
        assert found["success_all"] == pytest.approx(1 / 3)
        assert found["failures"] == {"collision": 1, "missed": 1}
    document = json.loads(three.read_text())
    del document["unit"], document["frame"]
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps(document))
    arguments = ("evaluate", bar, *PLAIN, "--source", bare)
    assert "supply the unit (m, cm, mm, inch) and the frame (gripper" in run(*arguments).err
    done = run(*arguments, "--grasp-unit", "m", "--frame", "gripper", "--json")
    (again,) = results_of(done, "grasp evaluate")["by_object"]
    assert timeless(again) == timeless(found)
    (folder / "bar.h5").rename(folder / "rod.h5")
    done = run("evaluate", bar, *PLAIN, "--source", folder)
    assert done.code == 2
    assert "must contain one grasp file named bar" in done.err


# --- start-up -----------------------------------------------------------------------------------


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

"""`grasp sample` and `grasp train` with a tiny field: what they write, and what they refuse."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from trimesh.creation import box

from grasp.field.configuration import FieldConfig
from grasp.field.model import KIND
from grasp.field.networks.energy import NetworkConfig
from grasp.field.trained import GraspField
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.objects.loading import load_object
from pcdiff.learning import checkpoint

TINY = FieldConfig(energy=NetworkConfig(16, 1, 4), success=NetworkConfig(8, 1, 4))


@pytest.fixture
def bar(tmp_path):
    box((0.03, 0.04, 0.12)).export(tmp_path / "bar.obj")
    return tmp_path / "bar.obj"


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    model = GraspField.initialized(TINY, 0)
    checkpoint.save(path, KIND, {"model": TINY.as_dict()}, model.state_dict())
    return path


def sample(run, bar, weights, *options):
    return run("sample", bar, "--weights", weights, "--count", 8, "--steps", 4, *options)


# --- grasp sample ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "begin"), [((), 0.1), (("--from-noise",), None)])
def test_what_is_written_is_what_python_gives(run, bar, weights, tmp_path, options, begin):
    from grasp.field.sampling import Sampling
    from grasp.field.selection import Selection
    from pcdiff.randomness import seeded

    output, picture = tmp_path / "g.json", tmp_path / "g.png"
    done = sample(
        run, bar, weights, "--least-probability", 0, "--seed", 5, "--output", output,
        "--picture", picture, "--json", *options,
    )  # fmt: skip
    assert done.code == 0, done.err
    results = json.loads(done.out)["results"]
    found = read_grasps(output)
    field = GraspField.from_pretrained(weights).condition(load_object(bar), "panda", 5)
    how, lenient = Sampling(steps=4, begin=begin), Selection(least_probability=0.0)
    expected = field.sample(8, seeded(5), how, lenient)
    np.testing.assert_allclose(found.poses, expected.poses, atol=1e-6)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-5)
    np.testing.assert_allclose(found.width, expected.width, atol=1e-9)
    assert results["grasps"] == len(found) == 8
    assert results["success_probability_protocol"] == TINY.protocol == "3"
    assert results["success_probability"]["best"] == pytest.approx(found.success_probability.max())
    assert found.sampler is not None and found.sampler["seed"] == 5
    assert found.sampler["begin"] == begin
    assert found.sampler["steps"] == 4 and found.sampler["temperature"] == Sampling().temperature
    assert found.object_sha256 == load_object(bar).sha256
    with Image.open(picture) as image:
        assert image.size == (900, 700)


@pytest.mark.parametrize("networks", ["both", "success"])
def test_training_without_a_grasp_that_holds_is_refused(run, tmp_path, networks):
    for index in range(24):
        path = tmp_path / f"{index}.obj"
        box((0.03, 0.04, 0.1 + 0.001 * index)).export(path)
        failed = Grasps(
            np.tile(np.eye(4), (3, 1, 1)), gripper="panda", object_file=path.name,
            object_sha256=load_object(path).sha256, success=np.zeros(3, bool), mass=0.1,
            friction=0.5,
        )  # fmt: skip
        (tmp_path / "grasps/panda").mkdir(parents=True, exist_ok=True)
        write_grasps(tmp_path / f"grasps/panda/{index}.h5", failed)
    done = run(
        "train", tmp_path, "--networks", networks, "--validate-one-in", 3, "--output",
        tmp_path / "run",
    )  # fmt: skip
    assert done.code == 2
    assert "at least one training object must have 5 or more successful grasps" in done.err


def test_constraints_and_scene(run, bar, weights, tmp_path):
    scene = tmp_path / "scene.yaml"
    scene.write_text("table: {position: [0, 0, -0.06]}\n")
    options = ("--least-probability", 0, "--oversampling", 20, "--scene", scene, "--thin")
    output = tmp_path / "g.json"
    done = sample(
        run, bar, weights, *options, "--region", "0,0,0,0.15", "--approach", "0,0,-1,80",
        "--output", output,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = read_grasps(output)
    assert len(found)
    tips = found.poses @ np.array([0, 0, 0.1034, 1])
    assert (np.linalg.norm(tips[:, :3], axis=1) <= 0.15 + 1e-6).all()
    assert (-found.poses[:, 2, 2] >= np.cos(np.radians(80)) - 1e-6).all()
    assert found.sampler is not None and found.sampler["scene"] == "scene.yaml"
    assert found.sampler["region"] == [0.0, 0.0, 0.0, 0.15]
    assert found.sampler["approach"] == [0.0, 0.0, -1.0, 80.0]


def test_balls_are_avoided(run, bar, weights, tmp_path):
    """Numbers may be joined by commas or stand apart, as those of the other options may."""
    output = tmp_path / "g.json"
    apart = ("--avoid", "0", "0", "0.05", "0.04", "--avoid", "0,0,-0.05,0.03")
    done = sample(
        run, bar, weights, "--least-probability", 0, *apart, "--region", "0", "0", "-1e-2", "0.2",
        "--output", output,
    )  # fmt: skip
    assert done.code == 0, done.err
    found = read_grasps(output)
    assert len(found)
    tips = (found.poses @ np.array([0, 0, 0.1034, 1]))[:, :3]
    assert np.linalg.norm(tips - [0, 0, 0.05], axis=1).min() >= 0.04
    assert np.linalg.norm(tips - [0, 0, -0.05], axis=1).min() >= 0.03
    assert found.sampler["avoid"] == [[0, 0, 0.05, 0.04], [0, 0, -0.05, 0.03]]
    assert found.sampler["region"] == [0, 0, -0.01, 0.2]


def test_a_reason_names_the_options_that_help(run, bar, weights):
    nowhere = ("--avoid", "0,0,0,1", "--region", "0,0,0,0.5", "--oversampling", 1)
    done = sample(run, bar, weights, *nowhere)
    assert done.code == 0
    assert "the avoided ball within 1 m of (0, 0, 0) excludes 24 of 24 samples" in done.out
    assert done.out.endswith("(--avoid, --oversampling)\n")
    results = json.loads(sample(run, bar, weights, *nowhere, "--json").out)["results"]
    assert results["remedies"] == ["--avoid", "--oversampling"]
    assert "--" not in results["reason"]
    done = sample(run, bar, weights, "--scale", 5)
    assert "(--unit, --scale)" in done.out and "no shipped gripper opens wide enough" in done.out
    done = sample(run, bar, weights, "--scale", 3)
    assert "use robotiq_2f_140" in done.out and "(--gripper, --unit, --scale)" in done.out


def test_long_sampling_shows_its_progress(run, bar, weights, monkeypatch):
    calls = []

    @contextlib.contextmanager
    def progress(description, total, after):
        calls.append((description, total, after))
        yield lambda steps, total: calls.append((steps, total))

    monkeypatch.setattr("pcdiff.console.progress", progress)
    done = sample(run, bar, weights, "--least-probability", 0, "--oversampling", 1)
    assert done.code == 0, done.err
    start, *steps = calls
    assert start == ("sampling", None, 2.0)
    assert steps[:6] == [(0, 40), *[(8, 40)] * 5]
    assert sum(done for done, _ in steps) == steps[-1][1]


def test_no_grasp_comes_with_its_reason(run, bar, weights, tmp_path):
    output = tmp_path / "g.json"
    done = sample(run, bar, weights, "--least-probability", 0.999, "--output", output)
    assert done.code == 0
    assert "0 grasps of bar" in done.out and "no grasp is likely to succeed" in done.out
    assert read_grasps(output).reason in done.out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--region", "0,0,0"], "--region must be four numbers X,Y,Z,RADIUS, got '0,0,0'"),
        (["--region", "0,0,a,1"], "--region must be four numbers X,Y,Z,RADIUS, got '0,0,a,1'"),
        (["--region", "0,0,0,-1"], "the radius must be above 0"),
        (["--region", "0,0,0,1e300"], "the numbers of --region must be at most"),
        (["--region", "nan,0,0,1"], "the numbers of --region must be at most"),
        (["--avoid", "0,0,0"], "--avoid must be four numbers X,Y,Z,RADIUS, got '0,0,0'"),
        (["--avoid", "0,0,0,0"], "the radius must be above 0"),
        (["--approach", "0,0,1,181"], "0 to 180 degrees, got 181 (--approach)"),
        (["--approach", "0,0,0,30"], "an approach direction must not have length 0"),
        (["--mass", "-1"], "the mass of an object must be above 0 kg and finite, got -1"),
        (["--temperature", "0"], "temperature must be 0.01 to 100"),
        (["--gripper", "nobody"], "nobody"),
        (["--output", "g.txt"], "cannot write g.txt"),
        (["--picture", "g.jpg"], "ends in .png"),
        (["--scene", "none.yaml"], "none.yaml"),
        (["--weights", "none.safetensors"], "expected a file or the name of shipped weights"),
        (["--device", "cuda:9"], "cannot be used on this machine"),
    ],
)
def test_bad_input_of_sample(run, bar, weights, options, sentence):
    done = sample(run, bar, weights, *options)
    assert done.code == 2
    assert sentence in done.err and done.err.count("\n") == 1


def test_the_field_is_judged_like_any_other_source(run, bar, weights):
    done = run("evaluate", bar, "--weights", weights, "--source", "antipodal")
    assert done.code == 2
    assert done.err == (
        f"error: the source antipodal and the weights {weights} are two sources of grasps: name "
        "one of them (--source, --weights)\n"
    )


# --- grasp train ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Three boxes with 30 labelled grasps each."""
    folder, rng = tmp_path / "set", np.random.default_rng(0)
    (folder / "grasps" / "panda").mkdir(parents=True)
    for place in range(3):
        name = f"box{place}"
        box((0.03 + 0.01 * place, 0.04, 0.1)).export(folder / f"{name}.obj")
        obj = load_object(folder / f"{name}.obj")
        at = np.tile(np.diag([1.0, -1.0, -1.0, 1.0]), (30, 1, 1))
        at[:, :3, 3] = rng.normal([0, 0, 0.15], 0.02, (30, 3))
        labelled = Grasps(
            at, gripper="panda", object_file=f"{name}.obj", object_sha256=obj.sha256,
            success=at[:, 0, 3] > 0, mass=0.1, friction=0.5, protocol="3",
        )  # fmt: skip
        write_grasps(folder / "grasps" / "panda" / f"{name}.h5", labelled)
    return folder


def train(run, folder, output, *options):
    return run(
        "train", folder, "--output", output, "--batch-size", 2, "--grasps", 2,
        "--validate-one-in", 2, "--validate-every", 2, *options,
    )  # fmt: skip


def test_training_resumes_and_begins_from_weights(run, folder, tmp_path):
    output = tmp_path / "run"
    done = train(run, folder, output, "--steps", 2)
    assert done.code == 0, done.err
    done = train(run, folder, output, "--steps", 4)
    assert done.code == 2 and "already contains a run" in done.err
    done = train(run, folder, output, "--steps", 2, "--resume")
    assert done.code == 0 and "no step left" in done.out
    first = GraspField.from_pretrained(output / "best.safetensors")
    assert set(first.config.grippers) == {"panda"}
    assert first.config.protocol == "3"  # of the labels
    again = tmp_path / "again"
    done = train(
        run, folder, again, "--steps", 2, "--networks", "success",
        "--initialize-from", output / "best.safetensors",
    )  # fmt: skip
    assert done.code == 0, done.err
    second = GraspField.from_pretrained(again / "best.safetensors")
    for name, tensor in second.state_dict().items():
        same = torch.equal(tensor, first.state_dict()[name])
        assert same or name.startswith("success"), name


@pytest.mark.extras
def test_two_processes_train_as_one(run, folder, tmp_path):
    arguments = [
        "train", folder, "--batch-size", 2, "--grasps", 2, "--validate-one-in", 2,
        "--validate-every", 2, "--steps", 2, "--output",
    ]  # fmt: skip
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "-m", "grasp", *map(str, arguments), tmp_path / "two"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert run(*arguments, tmp_path / "one").code == 0
    two, one = (
        checkpoint.load(tmp_path / name / "best.safetensors", KIND)[1] for name in ("two", "one")
    )
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5)


def test_the_papers_network_learns_distances_too(run, folder, tmp_path):
    output = tmp_path / "paper"
    done = train(run, folder, output, "--steps", 2, "--architecture", "paper")
    assert done.code == 0, done.err
    assert "validation_distance" in (output / "metrics.csv").read_text()
    assert GraspField.from_pretrained(output / "best.safetensors").config.architecture == "paper"
    again = tmp_path / "again"
    options = ["--steps", 2, "--initialize-from", output / "best.safetensors"]
    done = train(run, folder, again, *options)
    assert done.code == 0, done.err
    assert "validation_distance" in (again / "metrics.csv").read_text()
    done = train(run, folder, tmp_path / "wide", *options, "--width", 8)
    assert done.code == 2 and "which determine it, got 8" in done.err and "(--width)" in done.err
    done = train(run, folder, again, *options, "--architecture", "paper")
    assert (
        done.code == 2
        and "cannot be combined with --initialize-from: the initial weights determine" in done.err
    )


def test_bad_input_of_train(run, folder, tmp_path):
    output = tmp_path / "run"
    cases = [
        (["--gripper", "robotiq_2f_85"], "has no labelled grasps for robotiq_2f_85"),
        (["--validate-one-in", "1"], "validate-one-in"),
        (["--initialize-from", "none.safetensors"], "expected a file or the name of shipped"),
        (["--learning-rate", "-1"], "learning_rate"),
    ]
    for options, sentence in cases:
        done = train(run, folder, output, "--steps", 2, *options)
        assert done.code == 2 and sentence in done.err, done.err
    done = run("train", tmp_path, "--output", output)
    assert done.code == 2 and "has no labelled grasps: expected a folder grasps" in done.err

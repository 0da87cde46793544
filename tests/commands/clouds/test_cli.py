"""What the commands of `pcdiff` write and print on success."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from pcdiff.clouds.canonical import read_clouds
from pcdiff.clouds.components import Choice
from pcdiff.clouds.configuration import Standardization
from pcdiff.clouds.files import load_cloud, save_cloud
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.learning import checkpoint
from pcdiff.randomness import seeded
from tests import tiny

PNG = b"\x89PNG\r\n\x1a\n"
SAMPLE = ("--points", 24, "--steps", 3)
TRAIN = ("--points", 16, "--batch-size", 3, "--validate-every", 2)
JSON_KEYS = ["command", "version", "seed", "device", "seconds", "cpu_seconds", "results"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- The program ----------------------------------------------------------------------------------


def test_help_imports_nothing_heavy():
    program = """
import sys
from pcdiff.cli import app
from pcdiff.console import run
for arguments in (["--help"], ["train", "--help"], ["--version"]):
    try:
        run(app, arguments)
    except SystemExit as ended:
        assert ended.code == 0
heavy = {"torch", "numpy", "scipy", "h5py", "trimesh", "matplotlib", "jaxtyping"}
sys.stderr.write(",".join(sorted(heavy & sys.modules.keys())))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "sample" in done.stdout and "--initialize-from" in done.stdout


def test_every_command_has_help(pcdiff):
    for command in ("sample", "reconstruct", "interpolate", "evaluate", "train"):
        code, out, err = pcdiff(command, "--help")
        assert (code, err) == (0, "")
        assert all(option in out for option in ("--seed", "--device", "--threads", "--json"))


def test_without_arguments_there_is_help(pcdiff):
    assert pcdiff() == pcdiff("--help")
    assert pcdiff().code == 0


def test_the_version_is_the_distribution_s(pcdiff):
    from importlib.metadata import version

    assert pcdiff("--version") == (0, f"pcdiff {version('pcdiff-grasp')}\n", "")


def test_an_interruption_is_code_130_and_a_bug_keeps_its_traceback(pcdiff, files, monkeypatch):
    def raise_error(self, *_):
        raise error

    monkeypatch.setattr(PointCloudGenerator, "sample", raise_error)
    error: BaseException = KeyboardInterrupt()
    assert pcdiff("sample", "--weights", files["weights"]).code == 130
    error = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        pcdiff("sample", "--weights", files["weights"])


@pytest.mark.usefixtures("no_pictures")
def test_json_is_one_object_with_the_contract_s_keys(pcdiff, files, tmp_path):
    weights = ("--weights", files["weights"], *SAMPLE, "--output", tmp_path / "out")
    commands = {
        "sample": ("--count", 2, *weights),
        "reconstruct": (files["a"], *weights),
        "interpolate": (files["a"], files["b"], "--count", 2, *weights),
    }
    for command, arguments in commands.items():
        code, out, err = pcdiff(command, *arguments, "--seed", 7, "--json")
        record = json.loads(out)
        assert (code, err) == (0, "")
        assert list(record) == JSON_KEYS
        assert (record["command"], record["seed"]) == (f"pcdiff {command}", 7)
        assert record["device"] == "cpu" and record["cpu_seconds"] >= 0
        written = [*record["results"]["files"], record["results"]["picture"]]
        assert all((tmp_path / "out").joinpath(path).is_file() for path in written)


@pytest.mark.usefixtures("no_pictures")
def test_a_terminal_sees_a_progress_bar_beside_clean_json(pcdiff, files, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes a stream pose as a terminal
    arguments = ("--weights", files["weights"], "--count", 2, *SAMPLE, "--output", tmp_path)
    code, out, err = pcdiff("sample", *arguments, "--json")
    assert code == 0 and json.loads(out)["command"] == "pcdiff sample"
    assert "sampling" in err and "2/2" in err
    arguments = (files["clouds"], "--initialize-from", files["weights"], *TRAIN, "--steps", 3)
    code, out, err = pcdiff("train", *arguments, "--output", tmp_path / "run")
    assert code == 0 and "training" in err and "3/3" in err and "validation" in err


# --- Sampling -------------------------------------------------------------------------------------


def test_sample_writes_a_file_a_cloud_and_a_sheet(pcdiff, files, tmp_path):
    """The clouds equal those that the same seeds give in Python."""
    out = tmp_path / "new" / "out"
    arguments = ("--weights", files["weights"], "--count", 3, "--seed", 5, *SAMPLE)
    code, text, err = pcdiff("sample", *arguments, "--output", out)
    assert (code, err) == (0, "") and str(out) in text
    assert names(out) == ["cloud-000.ply", "cloud-001.ply", "cloud-002.ply", "sheet.png"]
    assert (out / "sheet.png").read_bytes().startswith(PNG)
    model = PointCloudGenerator.from_pretrained(files["weights"])
    expected = model.sample(3, 24, [seeded(5, index) for index in range(3)], 3)
    for index, cloud in enumerate(expected):
        assert torch.equal(load_cloud(out / f"cloud-{index:03d}.ply"), cloud)


@pytest.mark.usefixtures("no_pictures")
def test_a_seed_is_its_clouds(pcdiff, files, tmp_path):
    def sample(name, *options):
        arguments = ("--weights", files["weights"], *SAMPLE, *options)
        assert pcdiff("sample", *arguments, "--output", tmp_path / name).code == 0
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    first = sample("a", "--count", 5)
    assert sample("b", "--count", 5) == first
    other = sample("c", "--count", 5, "--seed", 1)
    assert all(other[name] != first[name] for name in first.keys() - {"sheet.png"})
    fewer = sample("d", "--count", 3)
    assert len(fewer) == 4
    for name in fewer.keys() - {"sheet.png"}:
        ours, theirs = (load_cloud(tmp_path / run / name) for run in ("d", "a"))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("form", ["ply", "npy", "xyz"])
def test_each_format_holds_the_same_cloud(pcdiff, files, tmp_path, form):
    arguments = ("--weights", files["weights"], "--count", 1, *SAMPLE, "--format", form)
    assert pcdiff("sample", *arguments, "--output", tmp_path).code == 0
    model = PointCloudGenerator.from_pretrained(files["weights"])
    expected = model.sample(1, 24, [seeded(0, 0)], 3)[0]
    assert torch.equal(load_cloud(tmp_path / f"cloud-000.{form}"), expected)


@pytest.mark.usefixtures("no_pictures")
def test_options_of_the_sampler_are_not_ignored(pcdiff, files, tmp_path):
    choices = {
        "multistep": (),
        "ddim": ("--sampler", "ddim"),
        "ancestral": ("--sampler", "ancestral"),
        "cold": ("--temperature", 0),
        "long": ("--steps", 4),
    }
    clouds = {}
    for name, options in choices.items():
        arguments = ("--weights", files["weights"], "--count", 1, *SAMPLE, *options)
        assert pcdiff("sample", *arguments, "--output", tmp_path / name).code == 0
        clouds[name] = (tmp_path / name / "cloud-000.ply").read_bytes()
    assert len(set(clouds.values())) == len(choices)


# --- Reconstruction and interpolation -------------------------------------------------------------


@pytest.mark.usefixtures("no_pictures")
def test_reconstruct_answers_in_the_input_s_frame_and_unit(pcdiff, files, tmp_path):
    """Moving and scaling the input by exact float32 numbers moves and scales the output."""
    grid = torch.randint(-63, 64, (30, 3), generator=seeded(0)) / 64
    grid[0], grid[1] = torch.full((3,), -1.0), torch.full((3,), 1.0)  # its box is [-1, 1]³
    move = torch.tensor([3.0, -5.0, 0.5])
    save_cloud(tmp_path / "plain.npy", grid)
    save_cloud(tmp_path / "moved.npy", 4 * grid + move)
    for name in ("plain", "moved"):
        weights = ("--weights", files["weights"], *SAMPLE, "--format", "npy")
        result = pcdiff("reconstruct", tmp_path / f"{name}.npy", *weights, "--output", tmp_path)
        assert result.code == 0
    plain = load_cloud(tmp_path / "plain-reconstructed-000.npy")
    moved = load_cloud(tmp_path / "moved-reconstructed-000.npy")
    model = PointCloudGenerator.from_pretrained(files["weights"])
    assert torch.equal(plain, model.reconstruct(grid[None], 24, [seeded(0, 0)], 3)[0])
    assert torch.equal(moved, 4 * plain + move)


@pytest.mark.usefixtures("no_pictures")
def test_reconstruct_tells_the_distance(pcdiff, files, tmp_path):
    arguments = (files["a"], "--weights", files["weights"], *SAMPLE, "--output", tmp_path)
    result = pcdiff("reconstruct", *arguments, "--json")
    ours, theirs = (
        load_cloud(path).double() for path in (files["a"], tmp_path / "a-reconstructed-000.ply")
    )
    squared = torch.cdist(ours, theirs).square()
    expected = squared.amin(dim=0).mean() + squared.amin(dim=1).mean()
    assert json.loads(result.out)["results"]["chamfer"] == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.usefixtures("no_pictures")
def test_interpolation_ends_in_reconstructions(pcdiff, files, tmp_path):
    arguments = ("--weights", files["weights"], *SAMPLE, "--count", 3, "--output", tmp_path)
    assert pcdiff("interpolate", files["a"], files["b"], *arguments).code == 0
    assert names(tmp_path) == [
        "between-000.ply", "between-001.ply", "between-002.ply", "sheet.png",
    ]  # fmt: skip
    model = PointCloudGenerator.from_pretrained(files["weights"])
    found = [load_cloud(tmp_path / f"between-{index:03d}.ply") for index in range(3)]
    for end, cloud in (("a", found[0]), ("b", found[2])):
        expected = model.reconstruct(load_cloud(files[end])[None], 24, seeded(0, 0), 3)[0]
        torch.testing.assert_close(cloud, expected, rtol=1e-5, atol=1e-5)
    assert min((found[1] - end).abs().max() for end in (found[0], found[2])) > 1e-3


def test_an_auto_encoder_reconstructs_and_interpolates(pcdiff, files, tmp_path):
    arguments = ("--weights", files["autoencoder"], "--points", 24, "--steps", 2)
    arguments += ("--output", tmp_path)
    interpolate = ("interpolate", files["a"], files["b"], "--count", 2)
    for command in (("reconstruct", files["a"]), interpolate):
        assert pcdiff(*command, *arguments).code == 0
        assert (tmp_path / "sheet.png").read_bytes().startswith(PNG)


# --- Evaluation -----------------------------------------------------------------------------------


def test_evaluate_prints_a_table_or_json(pcdiff, files):
    arguments = (files["clouds"], "--weights", files["weights"], "--no-emd", "--sets", 1)
    arguments += ("--floor-draws", 1, *SAMPLE)
    code, out, err = pcdiff("evaluate", *arguments)
    assert (code, err) == (0, "")
    assert out.startswith("| metric") and "1-NNA-CD" in out and "EMD" not in out
    record = json.loads(pcdiff("evaluate", *arguments, "--json").out)
    assert list(record) == JSON_KEYS
    assert {"1-nna-cd", "cov-cd", "mmd-cd"} <= record["results"]["generated"].keys()
    stamp = record["results"]["stamp"]
    assert (stamp["reference_shapes"], stamp["train_shapes"], stamp["sets"]) == (4, 6, 1)


# --- Training -------------------------------------------------------------------------------------


def test_train_leaves_weights_a_log_and_curves(pcdiff, files, tmp_path):
    run = tmp_path / "run"
    arguments = (files["clouds"], *TRAIN, "--steps", 2, "--prior", "gaussian", "--output", run)
    code, out, err = pcdiff("train", *arguments, "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert list(record) == JSON_KEYS
    assert record["results"]["weights"] == str(run / "best.safetensors")
    assert names(run) == ["best.safetensors", "curves.png", "last.safetensors", "metrics.csv"]
    assert (run / "curves.png").read_bytes().startswith(PNG)
    table = np.genfromtxt(run / "metrics.csv", names=True, delimiter=",")
    assert record["results"]["last"]["validation_loss"] == table["validation_loss"]
    model = PointCloudGenerator.from_pretrained(run / "best.safetensors")
    assert model.config.prior == Choice("gaussian")
    train = read_clouds(files["clouds"], "chair", "train")
    assert model.config.standardization.mean == pytest.approx(Standardization.of(train).mean)


def test_train_starts_from_given_weights(pcdiff, files, tmp_path):
    """With a learning rate too small to change anything, the result equals the initial weights."""
    arguments = (files["clouds"], *TRAIN, "--steps", 2, "--learning-rate", 1e-60)
    arguments += ("--initialize-from", files["weights"], "--output", tmp_path)
    assert pcdiff("train", *arguments).code == 0
    kind = "point-cloud-generator"
    header, trained = checkpoint.load(tmp_path / "best.safetensors", kind)
    given_header, given = checkpoint.load(files["weights"], kind)
    assert tiny.same(trained, given)
    assert header["model"] == given_header["model"]


def test_train_resumes(pcdiff, files, tmp_path):
    arguments = (files["clouds"], *TRAIN, "--steps", 4, "--initialize-from", files["weights"])
    assert pcdiff("train", *arguments, "--output", tmp_path).code == 0
    before = (tmp_path / "last.safetensors").read_bytes()
    code, out, err = pcdiff("train", *arguments, "--output", tmp_path, "--resume")
    assert (code, err) == (0, "") and str(tmp_path / "best.safetensors") in out
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_options_of_training_are_not_ignored(pcdiff, files, tmp_path):
    """Each option appears in the record that is saved with the weights."""
    options = {
        "steps": 3, "batch_size": 2, "learning_rate": 0.002, "ema_decay": 0.9,
        "validate_every": 2, "seed": 9, "points": 20, "levels_per_cloud": 5, "mirror": "x",
    }  # fmt: skip
    arguments = [files["clouds"], "--initialize-from", files["weights"], "--output", tmp_path]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    assert pcdiff("train", *arguments, "--no-bfloat16").code == 0
    record = checkpoint.load(tmp_path / "last.safetensors", "training-state")[0]["description"]
    found = {**record["training"], **record["data"], **record["origin"]}
    assert {name: found[name] for name in options} == options
    assert found["bfloat16"] is False and found["source"] == "clouds.hdf5/chair"
    assert found["initialized_from"] == str(files["weights"])


def test_sizes_of_the_model_and_event_files_are_not_ignored(pcdiff, files, tmp_path):
    (tmp_path / "s.json").write_text('{"latent": 6}')
    sizes = ("--width", 8, "--config", tmp_path / "s.json", "--tensorboard")
    arguments = (files["clouds"], *TRAIN, "--steps", 1, *sizes, "--output", tmp_path / "run")
    assert pcdiff("train", *arguments).code == 0
    config = PointCloudGenerator.from_pretrained(tmp_path / "run/best.safetensors").config
    assert (config.latent, config.network.options) == (6, {"widths": [2, 4, 8, 4, 2]})
    assert len(list((tmp_path / "run/tensorboard").glob("events.*"))) == 1
    longer = [*arguments[:-1], tmp_path / "run", "--steps", 3, "--resume"]
    assert pcdiff("train", *longer).code == 0
    last = checkpoint.load(tmp_path / "run/last.safetensors", "training-state")[0]
    assert (last["progress"]["step"], last["progress"]["extended_from"]) == (3, [1])
    code, _, err = pcdiff("train", *arguments, "--prior", "none", "--kl-weight", 1)
    assert code == 2 and err.endswith("(--kl-weight)\n")
    (tmp_path / "s.json").write_text('{"latent": 6, "depth": 3}')
    code, _, err = pcdiff("train", *arguments[:-1], tmp_path / "other")
    assert code == 2 and "the settings has the unknown entry depth" in err


def test_options_of_the_model_are_not_ignored(pcdiff, files, tmp_path):
    options = ("--prior", "gaussian", "--kl-weight", 0.5, "--schedule", "linear")
    arguments = (files["clouds"], *TRAIN, "--steps", 1, *options, "--output", tmp_path)
    assert pcdiff("train", *arguments).code == 0
    config = PointCloudGenerator.from_pretrained(tmp_path / "best.safetensors").config
    assert (config.prior, config.kl_weight) == (Choice("gaussian"), 0.5)
    assert config.schedule.as_dict()["name"] == "linear"

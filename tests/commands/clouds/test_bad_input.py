"""Bad input: one clear sentence, exit code 2, nothing on standard output, and no file touched."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch

from pcdiff.learning import checkpoint
from tests import tiny

CHAIR = "03001627"
TRAIN = "--points 16 --batch-size 3 --steps 2 --validate-every 1 --initialize-from {weights}"
SMALL = "--points 24 --steps 2 --output {out}"


@pytest.fixture(scope="session")
def given(files, tmp_path_factory) -> dict[str, Path]:
    """The valid files, and a folder of invalid ones."""
    folder = tmp_path_factory.mktemp("bad")

    def hdf5(name, contents):
        with h5py.File(folder / name, "w") as file:
            for key, array in contents.items():
                file[key] = np.asarray(array, np.float32)

    def splits(**changed):
        arrays = {"train": tiny.clouds(6), "val": tiny.clouds(3), "test": tiny.clouds(4)}
        return {f"{CHAIR}/{k}": v for k, v in {**arrays, **changed}.items() if v is not None}

    sound = files["clouds"].read_bytes()
    (folder / "cut.hdf5").write_bytes(sound[: len(sound) // 2])
    (folder / "text.hdf5").write_text("x y z\n0 0 0\n")
    nan = tiny.clouds(6)
    nan[4, 7, 1] = torch.nan
    hdf5("foreign.hdf5", {"data": nan, "label": np.arange(6)})
    hdf5("nan.hdf5", splits(train=nan))
    hdf5("nan_val.hdf5", splits(val=nan, test=nan))
    hdf5("no_points.hdf5", splits(train=np.zeros((6, 0, 3))))
    hdf5("one_point.hdf5", splits(train=np.zeros((6, 1, 3))))
    hdf5("no_shapes.hdf5", splits(train=np.zeros((0, 40, 3))))
    hdf5("flat.hdf5", splits(train=np.ones((6, 40, 3))))
    hdf5("planar.hdf5", splits(train=np.ones((6, 40, 2))))
    hdf5("no_val.hdf5", splits(val=None, test=None))
    hdf5("few_val.hdf5", splits(val=tiny.clouds(3, 12)))

    for name, cloud in {
        "nan": np.full((9, 3), np.nan), "no_point": np.zeros((0, 3)), "one_point": np.zeros((1, 3)),
        "flat": np.ones((9, 3)), "planar": np.ones((9, 2)),
    }.items():  # fmt: skip
        np.save(folder / f"{name}.npy", np.asarray(cloud, np.float32))
    (folder / "text.ply").write_text("hello\n")
    (folder / "mesh.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    )
    (folder / "cloud.stl").write_text("solid\n")

    weights = files["weights"].read_bytes()
    configuration, tensors = checkpoint.load(files["weights"], "point-cloud-generator")
    (folder / "cut.safetensors").write_bytes(weights[:-100])
    (folder / "text.safetensors").write_text("hello\n")
    (folder / "other.safetensors").write_bytes(safetensors.torch.save(tensors))
    (folder / "next.safetensors").write_bytes(
        safetensors.torch.save(
            tensors, {"configuration": json.dumps(configuration | {"version": 2})}
        )
    )
    checkpoint.save(folder / "grasp.safetensors", "grasp-field", {}, tensors)
    less = {name: tensor for name, tensor in tensors.items() if name != "encoder.norm.bias"}
    model = {"model": configuration["model"]}
    checkpoint.save(folder / "less.safetensors", "point-cloud-generator", model, less)
    checkpoint.save(folder / "bare.safetensors", "point-cloud-generator", {}, tensors)

    (folder / "file").write_text("a file, not a folder\n")
    return {"bad": folder, **files}


@pytest.fixture
def run_folder(given, pcdiff, tmp_path) -> Path:
    """A finished run."""
    arguments = f"train {{clouds}} {TRAIN}".split()
    assert pcdiff(*(a.format(**given) for a in arguments), "--output", tmp_path / "run").code == 0
    return tmp_path / "run"


def refusal(pcdiff, given, out, template: str) -> str:
    """The sentence with which a command refuses its input; paths are filled into the template."""
    places = {**given, "out": out}
    code, text, errors = pcdiff(*(word.format(**places) for word in template.split()))
    assert (code, text) == (2, "")
    (sentence,) = errors.splitlines()
    assert sentence.startswith("error: ")
    return sentence.removeprefix("error: ").replace(f"{given['bad']}/", "")


DATA = {
    "missing": "missing.hdf5 does not exist",
    "cut": "cut.hdf5 cannot be read as HDF5",
    "text": "text.hdf5 is not an HDF5 file",
    "foreign": "foreign.hdf5 does not have the layout /{synset id}/{train|val|test}: found data",
    "nan": "train of nan.hdf5 has a coordinate that is not finite in cloud 4",
    "nan_val": "of nan_val.hdf5 has a coordinate that is not finite in cloud 4",
    "no_points": "train of no_points.hdf5 has 0 points per shape, expected at least 2",
    "one_point": "train of one_point.hdf5 has 1 points per shape, expected at least 2",
    "no_shapes": "train of no_shapes.hdf5 has no shapes",
    "planar": "train of planar.hdf5 has shape (6, 40, 2), expected (shapes, points, 3)",
    "flat": "cloud 0 cannot be normalised",
    "no_val": "no_val.hdf5 has no split",
}


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize("name", DATA)
def test_bad_clouds(pcdiff, given, tmp_path, command, name):
    options = {
        "train": f"{TRAIN} --output {{out}}",
        "evaluate": "--weights {weights} --no-emd --sets 1 --points 16 --steps 2",
    }
    template = f"{command} {{bad}}/{name}.hdf5 {options[command]}"
    assert DATA[name] in refusal(pcdiff, given, tmp_path / "out", template)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_category_that_is_not_there(pcdiff, given, tmp_path, command):
    template = f"{command} {{clouds}} --category sofa" + " --output {out}" * (command == "train")
    sentence = refusal(pcdiff, given, tmp_path / "out", template)
    there = f"{CHAIR} (chair), 03797390 (mug)"
    assert sentence == f"{given['clouds']} has no category 'sofa', only {there}"
    assert list(tmp_path.iterdir()) == []


CLOUDS = {
    "missing.ply": "missing.ply does not exist",
    "text.ply": "text.ply is not a PLY file",
    "mesh.ply": "mesh.ply is a mesh, expected a point cloud",
    "cloud.stl": "cloud.stl is not a cloud file: expected the extension .ply, .pcd, .xyz, .txt, "
    ".pts, .csv, .asc, .npy",
    "nan.npy": "nan.npy has a coordinate that is not finite in all 9 points",
    "no_point.npy": "no_point.npy has 0 points, expected at least 2",
    "one_point.npy": "one_point.npy has 1 points, expected at least 2",
    "planar.npy": "normals, got float32 of shape (9, 2)",
    "flat.npy": "cannot be normalised",
}


@pytest.mark.parametrize("command", ["reconstruct", "interpolate {a}", "interpolate"])
@pytest.mark.parametrize("name", CLOUDS)
def test_a_bad_cloud(pcdiff, given, tmp_path, command, name):
    second = " {a}" * (command == "interpolate")
    template = f"{command} {{bad}}/{name}{second} --weights {{weights}} {SMALL}"
    assert CLOUDS[name] in refusal(pcdiff, given, tmp_path / "out", template)
    assert list(tmp_path.iterdir()) == []


WEIGHTS = {
    "missing": "expected a file or the name of shipped weights",
    "cut": "cut.safetensors: expected a complete safetensors file",
    "text": "text.safetensors: expected a complete safetensors file",
    "other": "other.safetensors: the file has no configuration of format",
    "next": "next.safetensors: expected version 1, got 2",
    "grasp": "grasp.safetensors: expected kind 'point-cloud-generator', got 'grasp-field'",
    "less": "less.safetensors: tensor 'encoder.norm.bias' should be of shape [16] but is absent",
    "bare": "bare.safetensors: their configuration does not describe a model",
}


@pytest.mark.parametrize(
    "command",
    [
        f"sample --weights {{}} {SMALL}",
        f"reconstruct {{a}} --weights {{}} {SMALL}",
        f"interpolate {{a}} {{b}} --weights {{}} {SMALL}",
        "evaluate {clouds} --weights {} --no-emd",
        "train {clouds} --points 16 --steps 1 --initialize-from {} --output {out}",
    ],
    ids=lambda command: command.split()[0],
)
@pytest.mark.parametrize("name", WEIGHTS)
def test_bad_weights(pcdiff, given, tmp_path, command, name):
    template = command.replace("{}", f"{{bad}}/{name}.safetensors")
    assert WEIGHTS[name] in refusal(pcdiff, given, tmp_path / "out", template)
    assert list(tmp_path.iterdir()) == []


def test_a_training_state_is_not_weights(pcdiff, given, run_folder, tmp_path):
    template = f"sample --weights {run_folder}/last.safetensors {SMALL}"
    sentence = refusal(pcdiff, given, tmp_path / "out", template)
    assert "expected kind 'point-cloud-generator', got 'training-state'" in sentence


OPTIONS = {
    "sample --device nowhere": "the device must be cpu, cuda or cuda:N, got 'nowhere'",
    "sample --device meta": "the device must be cpu, cuda or cuda:N, got 'meta'",
    "sample --points 1000000000000 --output {out}": "'--points'",
    "sample --steps 1000000000000 --output {out}": "'--steps'",
    "sample --threads 3000000000 --output {out}": "'--threads'",
    "sample --temperature inf --output {out}": "'--temperature'",
    "evaluate {clouds} --sets 5000000000": "'--sets'",
    "train {clouds} --output {out} --batch-size 100000000000000000000": "'--batch-size'",
    "train {clouds} --output {out} --kl-weight inf": "kl_weight must be a finite number",
    "train {clouds} --output {out} --points 16 --learning-rate inf": "got inf (--learning-rate)",
    "sample --device cuda:99": "device 'cuda:99' cannot be used on this machine",
    "sample --points 0": "'--points'",
    "sample --points many": "'--points'",
    "sample --count 0": "'--count'",
    "sample --count -3": "'--count'",
    "sample --steps 1": "'--steps'",
    "sample --seed -1": "'--seed'",
    "sample --seed 9223372036854775808": "'--seed'",
    "sample --threads -1": "'--threads'",
    "sample --temperature -1": "'--temperature'",
    "sample --sampler euler": "'--sampler'",
    "sample --format stl": "'--format'",
    "sample --colour red": "--colour",
    "sample --weights {autoencoder}": "must have a prior, got an auto-encoder",
    "sample --weights {weights} --points 1 --output {out}": "'--points'",
    "reconstruct": "Missing argument",
    "interpolate {a}": "Missing argument",
    "interpolate {a} {b} --count 1": "'--count'",
    "evaluate {clouds} --sets 0": "'--sets'",
    "evaluate {clouds} --weights {weights} --split dev": "got 'dev'",
    "evaluate {clouds} --weights {weights} --no-emd --points 41": (
        "the training set must have at least 41 points for the evaluation, got 40 (--points)"
    ),
    "evaluate {clouds} --weights {weights} --points 40": "leave out the distance 'emd' (--no-emd)",
    "train {clouds} --output {out} --prior none --kl-weight 0.1": (
        "kl_weight must be absent for an auto-encoder (prior 'none'), which has no KL divergence, "
        "got 0.1 (--kl-weight)"
    ),
    "train {clouds}": "Missing option '--output'",
    "train {clouds} --output {out} --steps 0": "'--steps'",
    "train {clouds} --output {out} --prior uniform": "'--prior'",
    "train {clouds} --output {out} --ema-decay 2": "'--ema-decay'",
    "train {clouds} --output {out} --points 41": "points per cloud must be from 2 to 40, got 41",
    "train {clouds} --output {out} --points 18": "levels_per_cloud must be a divisor of 18",
    "train {clouds} --output {out} --points 16 --learning-rate 0": "learning_rate must be a finite",
    "train {bad}/few_val.hdf5 --output {out} --points 16": "points per cloud must be from 2 to 12",
    "train {clouds} --output {out} --initialize-from {weights} --prior none": "--prior cannot",
    "train {clouds} --output {out} --initialize-from {weights} --kl-weight 0": (
        "--kl-weight cannot"
    ),
    "train {clouds} --output {out} --initialize-from {weights} --schedule linear": (
        "--schedule cannot be combined with --initialize-from: the initial weights determine "
        "this setting"
    ),
    "paint": "No such command 'paint'",
    "--quiet": "--quiet",
}


@pytest.mark.parametrize("template", OPTIONS)
def test_bad_options(pcdiff, given, tmp_path, template):
    assert OPTIONS[template] in refusal(pcdiff, given, tmp_path / "out", template)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "sample --count 1 --weights {weights} --points 24 --steps 2",
        "reconstruct {a} --weights {weights} --points 24 --steps 2",
        "interpolate {a} {b} --count 2 --weights {weights} --points 24 --steps 2",
        f"train {{clouds}} {TRAIN}",
    ],
    ids=lambda command: command.split()[0],
)
@pytest.mark.parametrize("output", ["file", "file/inside"])
def test_a_file_where_the_folder_should_be(pcdiff, given, tmp_path, command, output):
    template = f"{command} --output {{bad}}/{output}"
    assert refusal(pcdiff, given, tmp_path, template).startswith(f"cannot write into {output}")
    assert (given["bad"] / "file").read_text() == "a file, not a folder\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("{clouds}", "already contains a run: resume the run or choose another folder"),
        (
            "{clouds} --resume --learning-rate 0.1",
            "training.learning_rate must be 0.001 as in the saved run, got 0.1",
        ),
        ("{clouds} --resume --mirror x", "data.mirror must be 'none' as in the saved run, got 'x'"),
        ("{clouds} --resume --category mug", "has no split 'val'"),
        ("{bad}/cut.hdf5 --resume", "cannot be read as HDF5"),
        ("{bad}/nan.hdf5 --resume", "not finite"),
        ("{bad}/nan_val.hdf5 --resume", "not finite"),
        ("{clouds} --resume --initialize-from {bad}/cut.safetensors", "complete safetensors file"),
        (
            "{clouds} --resume --initialize-from {autoencoder}",
            "model.prior.name must be 'flow' as in the saved run, got 'none'",
        ),
    ],
)
def test_bad_input_costs_no_checkpoint(pcdiff, given, run_folder, options, words):
    before = {path.name: path.read_bytes() for path in run_folder.iterdir()}
    template = f"train {TRAIN} --output {{out}} {options}"
    assert words in refusal(pcdiff, given, run_folder, template)
    assert {path.name: path.read_bytes() for path in run_folder.iterdir()} == before


def test_a_full_disk_leaves_no_half_file(pcdiff, given, tmp_path, monkeypatch):
    """Clouds written before stay; the first one that does not fit leaves no incomplete file."""
    written = os.fsync

    def fill(descriptor):
        if len(list(tmp_path.glob("cloud-*"))) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    template = "sample --weights {weights} --points 24 --steps 2 --count 4 --output {out}"
    sentence = refusal(pcdiff, given, tmp_path, template)
    assert sentence == f"cannot write {tmp_path}/cloud-002.ply: No space left on device"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cloud-000.ply", "cloud-001.ply"]

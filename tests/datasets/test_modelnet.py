"""ModelNet as a canonical file, from small trees of known shapes.

Each model is a box that stands on the ground, with z from 0 up to a height of its own. So each
cloud in the file identifies its model and shows which axis points up.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import torch
import trimesh

from datasets import modelnet
from pcdiff.clouds.canonical import categories, read_clouds
from pcdiff.clouds.conversion.modelnet import Up, modelnet_shapes, points_on_model
from pcdiff.console import run


def program(*arguments) -> int:
    with pytest.raises(SystemExit) as caught:
        run(modelnet.app, [str(argument) for argument in arguments])
    return caught.value.code


@pytest.fixture
def folder(tmp_path):
    """Ten train and two test shapes of two classes; heights are 10, 11, ... in file order.

    Every other file has its counts on the first line without a space, like many of ModelNet's.
    """
    root = tmp_path / "ModelNet10"
    for name in ("chair", "night_stand"):
        for number in range(12):
            split = "train" if number < 10 else "test"
            path = root / name / split / f"{name}_{number + 1:04}.off"
            path.parent.mkdir(parents=True, exist_ok=True)
            box = trimesh.creation.box([2, 4, 10 + number])
            box.apply_translation([0, 0, (10 + number) / 2])
            text = box.export(file_type="off")
            if number % 2:
                text = text.replace("OFF\n", "OFF", 1)
            path.write_text(text)
    (root / "README.txt").write_text("ModelNet10")
    return root


def heights(path, category, split):
    return read_clouds(path, category, split)[..., 1].amax(dim=1).round().long().tolist()


def test_official_test_and_a_validation_part_of_train(folder, tmp_path, capsys):
    output = tmp_path / "a.hdf5"
    assert program(folder, "--output", output, "--points", 200, "--validation-count", 3) == 0
    assert categories(output) == {
        "03001627": {"train": 7, "val": 3, "test": 2},
        "night_stand": {"train": 7, "val": 3, "test": 2},
    }
    for category in ("chair", "night_stand"):
        train, val = heights(output, category, "train"), heights(output, category, "val")
        assert sorted(train + val) == list(range(10, 20))
        assert (train, val) == (sorted(train), sorted(val))
        assert heights(output, category, "test") == [20, 21]
    printed = capsys.readouterr()
    assert printed.err == "" and "03001627 (chair): train 7, val 3, test 2" in printed.out


def test_y_is_up_by_a_proper_rotation_unless_z_is_asked_for(folder, tmp_path):
    for up in ("y", "z"):
        assert program(folder, "--output", tmp_path / up, "--points", 500, "--up", up) == 0
    as_in_file = read_clouds(tmp_path / "z", "chair", "test")
    turned = read_clouds(tmp_path / "y", "chair", "test")
    assert as_in_file[..., 2].amin() == 0 and as_in_file[0, :, 2].amax() == 20
    rotation = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    assert torch.linalg.det(rotation) == 1
    assert torch.equal(turned, as_in_file @ rotation.T)
    for up in ("y", "z"):
        with h5py.File(tmp_path / up) as file:
            assert file.attrs["up"] == up
            assert {"source", "normalisation", "points", "seed", "unit"} <= file.attrs.keys()


def test_every_point_is_on_the_box(folder, tmp_path):
    assert program(folder, "--output", tmp_path / "a", "--up", "z") == 0
    clouds = read_clouds(tmp_path / "a", "chair", "test").double()
    assert clouds.shape == (2, 2048, 3)
    for cloud, height in zip(clouds, (20, 21), strict=True):
        x, y, z = cloud.T
        on_side = (x.abs() == 1) | (y.abs() == 2) | (z == 0) | (z == height)
        assert on_side.all()
        assert x.abs().max() == 1 and y.abs().max() == 2 and z.min() == 0 and z.max() == height


@pytest.mark.parametrize(
    ("fraction", "count"), [("0", None), ("0.04", 1), ("0.25", 2), ("0.5", 5), ("0.9", 9)]
)
def test_fractions(folder, fraction, count):
    shapes = modelnet_shapes(folder, ["chair"], validation_fraction=float(fraction))
    assert sum(shape.split == "val" for shape in shapes) == (count or 0)
    assert sum(shape.split == "test" for shape in shapes) == 2


def test_the_seed_decides_which_shapes_validate(folder):
    def validation(seed, categories=None):
        shapes = modelnet_shapes(folder, categories, 0.5, seed=seed)
        return {shape.name for shape in shapes if shape.split == "val"}

    assert validation(1) == validation(1) != validation(2)
    assert validation(1, ["chair"]) == {name for name in validation(1) if "chair" in name}


def test_a_shape_keeps_its_points_when_its_split_changes(folder, tmp_path):
    for name, count in (("none", 0), ("some", 4)):
        options = ("--points", 20, "--validation-count", count)
        assert program(folder, "--output", tmp_path / name, *options) == 0
    everything = read_clouds(tmp_path / "none", "chair", "train")
    parts = [read_clouds(tmp_path / "some", "chair", split) for split in ("train", "val")]
    known = {cloud.numpy().tobytes() for cloud in everything}
    assert {cloud.numpy().tobytes() for part in parts for cloud in part} == known


def test_json_and_skipped_shapes(folder, tmp_path, capsys):
    broken = folder / "chair" / "test" / "chair_0011.off"
    broken.write_text("\n".join(broken.read_text().splitlines()[:-1]))
    assert program(folder, "--output", tmp_path / "a", "--points", 9, "--json", "--seed", 4) == 0
    printed = capsys.readouterr()
    record = json.loads(printed.out)
    assert (record["command"], record["seed"]) == ("datasets.modelnet", 4)
    found = "but the file has 8 vertices and 11 faces"
    reason = f"{broken} is truncated: its header promises 8 vertices and 12 faces, {found}"
    assert record["results"] == {
        "points": 9,
        "up": "y",
        "output": str(tmp_path / "a"),
        "shapes": categories(tmp_path / "a"),
        "skipped": [reason],
    }
    assert categories(tmp_path / "a")["03001627"]["test"] == 1
    assert printed.err == f"skipped: {reason}\nskipped 1 shapes in total\n"


@pytest.mark.parametrize("category", ["chair", "03001627"])
def test_categories_by_either_name(folder, tmp_path, category):
    options = ("--points", 9, "--categories", category)
    assert program(folder, "--output", tmp_path / "a", *options) == 0
    assert list(categories(tmp_path / "a")) == ["03001627"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["--categories", "chair,sofa"],
            "has no class 'sofa'; classes in the folder: chair, night_stand",
        ),
        (["--validation-count", "10"], "the number of validation shapes of chair must be below"),
    ],
)
def test_bad_requests(folder, tmp_path, capsys, arguments, reason):
    assert program(folder, "--output", tmp_path / "a", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("error: ") and reason in printed.err
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_bad_folders(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert program(tmp_path / name, "--output", tmp_path / "a") == 2
    printed = capsys.readouterr()
    assert str(tmp_path / name) in printed.err and printed.err.count("\n") == 1


def test_usage_errors_and_help(folder, tmp_path, capsys):
    assert program(folder, "--output", tmp_path / "a", "--up", "x") == 2
    assert program(folder) == 2
    capsys.readouterr()
    assert program("--help") == 0
    assert "--validation-fraction" in capsys.readouterr().out


def test_the_stream_of_random_numbers_is_pinned(folder):
    """A new stream would silently turn the same data and seed into a different file."""
    (shape,) = [s for s in modelnet_shapes(folder) if s.name == "chair_0011"]
    points = points_on_model(shape, points=2, seed=0, up=Up.Z).points
    np.testing.assert_allclose(
        points, [[1, 1.737209, 18.46151], [-0.136861, 2, 0.146848]], rtol=1e-5
    )

"""ShapeNet's two layouts as a canonical file, from small trees of known shapes.

Each model is a cube of a different size, so each cloud in the file identifies its model.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import trimesh

from datasets import shapenet
from pcdiff.clouds.canonical import categories, read_clouds
from pcdiff.console import run

CHAIR, PLANE = "03001627", "02691156"

# category, model, half side of its cube, split
MODELS = [
    (CHAIR, "b1c", 1.0, "train"),
    (CHAIR, "a2d", 2.0, "train"),
    (CHAIR, "u5be9269-2c", 4.0, "val"),
    (CHAIR, "1e3", 8.0, "test"),
    (PLANE, "b1c", 16.0, "test"),
]


def program(*arguments) -> int:
    with pytest.raises(SystemExit) as caught:
        run(shapenet.app, [str(argument) for argument in arguments])
    return caught.value.code


def write_mesh(folder, category, model, half_side):
    path = folder / category / model / "models" / "model_normalized.obj"
    path.parent.mkdir(parents=True)
    trimesh.creation.box([2 * half_side] * 3).export(path)
    return path


def write_table(path, rows):
    lines = ["id,synsetId,subSynsetId,modelId,split"]
    lines += [f"{i:06},{c},{c},{m},{s}" for i, (c, m, _, s) in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def meshes(tmp_path):
    """A folder of meshes; its table drops a leading zero and lists a category without meshes."""
    folder = tmp_path / "ShapeNetCore.v2"
    for category, model, half_side, _ in MODELS:
        write_mesh(folder, category, model, half_side)
    rows = [(c.lstrip("0"), m, h, s) for c, m, h, s in MODELS]
    write_table(folder / "all.csv", [*rows, ("04379243", "absent", 0, "train")])
    return folder


@pytest.fixture
def pc15k(tmp_path):
    folder = tmp_path / "ShapeNetCore.v2.PC15k"
    for index, (category, model, _, split) in enumerate(MODELS):
        path = folder / category / split / f"{model}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.random.default_rng(index).normal(size=(15000, 3)).astype(np.float32))
    return folder


def half_sides(path, category, split):
    return [float(cloud.abs().max()) for cloud in read_clouds(path, category, split)]


def contents(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(
            lambda name, item: found.update({name: item[:]} if hasattr(item, "shape") else {})
        )
        return found, dict(file.attrs)


def assert_same(one, other):
    (arrays, attributes), (other_arrays, other_attributes) = contents(one), contents(other)
    assert attributes == other_attributes
    assert arrays.keys() == other_arrays.keys()
    assert all(np.array_equal(arrays[name], other_arrays[name]) for name in arrays)


def test_meshes_go_where_the_official_split_says(meshes, tmp_path, capsys):
    output = tmp_path / "new folder" / "shapenet.hdf5"
    assert program(meshes, "--output", output, "--points", 100) == 0
    assert categories(output) == {PLANE: {"test": 1}, CHAIR: {"train": 2, "val": 1, "test": 1}}
    assert half_sides(output, "chair", "train") == [2.0, 1.0]  # sorted by model: a2d, b1c
    assert half_sides(output, "chair", "val") == [4.0]
    assert half_sides(output, "chair", "test") == [8.0]
    assert half_sides(output, "airplane", "test") == [16.0]
    printed = capsys.readouterr()
    assert printed.err == ""
    assert f"{CHAIR} (chair): train 2, val 1, test 1" in printed.out


def test_every_point_of_a_mesh_is_on_its_surface(meshes, tmp_path):
    output = tmp_path / "shapenet.hdf5"
    assert program(meshes, "--output", output) == 0
    clouds = read_clouds(output, "chair", "train")
    assert clouds.shape == (2, 2048, 3)
    assert (clouds.abs().amax(dim=2) == clouds.abs().amax(dim=(1, 2))[:, None]).all()


def test_the_file_says_where_it_comes_from(meshes, tmp_path):
    output = tmp_path / "shapenet.hdf5"
    program(meshes, "--output", output, "--points", 10, "--seed", 3)
    attributes = contents(output)[1]
    assert set(attributes) == {"source", "normalisation", "points", "seed", "up", "unit"}
    assert (attributes["points"], attributes["seed"], attributes["up"]) == (10, 3, "y")
    assert attributes["normalisation"] == "none" and "not metres" in attributes["unit"]


def test_the_seed_decides_and_the_workers_do_not(meshes, tmp_path):
    common = (meshes, "--points", 50, "--output")
    for name, options in {
        "one": ("--seed", 1),
        "again": ("--seed", 1),
        "workers": ("--seed", 1, "--workers", 2),
        "other": ("--seed", 2),
    }.items():
        assert program(*common, tmp_path / name, *options) == 0
    assert_same(tmp_path / "one", tmp_path / "again")
    assert_same(tmp_path / "one", tmp_path / "workers")
    one, other = (read_clouds(tmp_path / name, "chair", "train") for name in ("one", "other"))
    assert (one != other).any(dim=2).all()


def test_a_shape_does_not_depend_on_what_else_is_converted(meshes, tmp_path):
    program(meshes, "--points", 50, "--output", tmp_path / "all")
    program(meshes, "--points", 50, "--output", tmp_path / "some", "--categories", "chair")
    assert categories(tmp_path / "some").keys() == {CHAIR}
    everything, chairs = contents(tmp_path / "all")[0], contents(tmp_path / "some")[0]
    assert all(np.array_equal(everything[name], chairs[name]) for name in chairs)


def test_models_of_one_name_in_two_categories_get_different_points(meshes, tmp_path):
    program(meshes, "--points", 50, "--output", tmp_path / "a")
    chair = read_clouds(tmp_path / "a", "chair", "train")[1]
    assert (chair * 16 != read_clouds(tmp_path / "a", "airplane", "test")[0]).any()


def test_unreadable_meshes_are_reported_and_skipped(meshes, tmp_path, capsys):
    broken = meshes / CHAIR / "b1c" / "models" / "model_normalized.obj"
    broken.write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n")
    missing = meshes / CHAIR / "u5be9269-2c" / "models" / "model_normalized.obj"
    missing.unlink()
    assert program(meshes, "--output", tmp_path / "a", "--points", 9, "--json") == 0
    assert categories(tmp_path / "a")[CHAIR] == {"train": 1, "test": 1}
    assert half_sides(tmp_path / "a", "chair", "train") == [2.0]
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        f"skipped: {broken} is a mesh without area",
        f"skipped: {missing} does not exist",
        "skipped 2 shapes in total",
    ]
    assert len(json.loads(printed.out)["results"]["skipped"]) == 2


def test_strict_makes_an_unreadable_mesh_an_error(meshes, tmp_path, capsys):
    (meshes / CHAIR / "b1c" / "models" / "model_normalized.obj").write_text("")
    for workers in (1, 2):
        options = ("--strict", "--workers", workers)
        assert program(meshes, "--output", tmp_path / "a", "--points", 9, *options) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and "b1c" in printed.err and printed.err.count("\n") == 1
        assert not (tmp_path / "a").exists()


def test_a_model_without_a_split_is_left_out_and_counted(meshes, tmp_path, capsys):
    write_mesh(meshes, CHAIR, "extra", 32)
    assert program(meshes, "--output", tmp_path / "a", "--points", 9, "--json") == 0
    assert categories(tmp_path / "a")[CHAIR] == {"train": 2, "val": 1, "test": 1}
    assert json.loads(capsys.readouterr().out)["results"]["without_split"] == 1


def test_the_table_may_lie_elsewhere(meshes, tmp_path):
    table = tmp_path / "elsewhere.csv"
    (meshes / "all.csv").rename(table)
    assert program(meshes, "--output", tmp_path / "a", "--points", 9, "--splits", table) == 0
    assert half_sides(tmp_path / "a", "chair", "val") == [4.0]


def test_json_is_one_object_with_the_agreed_keys(meshes, tmp_path, capsys):
    output = tmp_path / "a"
    program(meshes, "--output", output, "--points", 9, "--seed", 5, "--json")
    record = json.loads(capsys.readouterr().out)
    keys = {"command", "version", "seed", "device", "seconds", "cpu_seconds", "results"}
    assert record.keys() == keys
    assert (record["command"], record["seed"]) == ("datasets.shapenet", 5)
    assert record["results"] == {
        "layout": "meshes",
        "points": 9,
        "without_split": 0,
        "output": str(output),
        "shapes": categories(output),
        "skipped": [],
    }


def test_pc15k_is_taken_whole_and_in_order(pc15k, tmp_path):
    assert program(pc15k, "--output", tmp_path / "a") == 0
    assert categories(tmp_path / "a") == {
        PLANE: {"test": 1},
        CHAIR: {"train": 2, "val": 1, "test": 1},
    }
    expected = np.stack([np.load(pc15k / CHAIR / "train" / f"{m}.npy") for m in ("a2d", "b1c")])
    assert np.array_equal(read_clouds(tmp_path / "a", "chair", "train"), expected)


def test_a_random_choice_of_pc15k(pc15k, tmp_path):
    for name, seed in (("a", 1), ("again", 1), ("other", 2)):
        assert program(pc15k, "--output", tmp_path / name, "--points", 64, "--seed", seed) == 0
    assert_same(tmp_path / "a", tmp_path / "again")
    chosen = read_clouds(tmp_path / "a", "airplane", "test")[0].tolist()
    everything = {tuple(p) for p in np.load(pc15k / PLANE / "test" / "b1c.npy").tolist()}
    assert len({tuple(p) for p in chosen} & everything) == 64
    assert chosen != read_clouds(tmp_path / "other", "airplane", "test")[0].tolist()


def test_a_cloud_with_too_few_points_is_skipped(pc15k, tmp_path, capsys):
    np.save(pc15k / CHAIR / "train" / "a2d.npy", np.eye(3, dtype=np.float32))
    assert program(pc15k, "--output", tmp_path / "a", "--points", 64) == 0
    assert categories(tmp_path / "a")[CHAIR]["train"] == 1
    assert "has 3 points, expected at least 64" in capsys.readouterr().err


def refused(capsys, *arguments) -> str:
    assert program(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    return printed.err


def test_folders_of_another_layout(meshes, pc15k, tmp_path, capsys):
    output = ("--output", tmp_path / "a")
    assert "does not exist" in refused(capsys, tmp_path / "missing", *output)
    message = refused(capsys, tmp_path, *output)
    assert f"{tmp_path} must contain either meshes" in message and "got neither" in message
    (pc15k / CHAIR).rename(meshes / "04379243")
    message = refused(capsys, meshes, *output)
    assert f"{meshes} must contain either meshes" in message and "got both" in message


def test_categories_stand_between_commas(meshes, tmp_path):
    options = ("--points", 9, "--categories", "chair, 02691156")
    assert program(meshes, "--output", tmp_path / "a", *options) == 0
    assert categories(tmp_path / "a").keys() == {CHAIR, PLANE}


def test_a_category_that_is_not_there(meshes, pc15k, tmp_path, capsys):
    for folder in (meshes, pc15k):
        message = refused(capsys, folder, "--output", tmp_path / "a", "--categories", "chair,mug")
        there = "categories in the folder: 02691156 (airplane), 03001627 (chair)"
        assert f"no category 'mug'; {there}" in message


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "all.csv does not exist"),
        ("", "columns"),
        ("a,b\n1,2\n", "expected the columns id, synsetId, subSynsetId, modelId and split"),
        (
            "synsetId,modelId,split\n03001627,b1c,valid\n",
            "the split 'valid' for model 'b1c' in line 2",
        ),
        (
            "synsetId,modelId,split\n03001627\n",
            "in line 2, expected a model with the split train, val or test",
        ),
        ("synsetId,modelId,split\n03001627,../b1c,train\n", "'../b1c'"),
        (
            "synsetId,modelId,split\n03001627,b,train\n03001627,b,test\n",
            "in only one split, got train and test",
        ),
        (b"synsetId,modelId,split\n\xff\xfe,b,train\n", "cannot be read as a table"),
        ("synsetId,modelId,split\n04379243,b,train\n", "the list of shapes to convert is empty"),
        ("synsetId,modelId,split\n03001627,b,train\n", "none of the 1 shapes can be read"),
    ],
)
def test_bad_tables(meshes, tmp_path, capsys, table, reason):
    (meshes / "all.csv").unlink()
    if table is not None:
        (meshes / "all.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    assert reason in refused(capsys, meshes, "--output", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_seed_beyond_what_the_file_can_hold(pc15k, tmp_path, capsys):
    largest = 2**32 - 1
    for seed in (largest + 1, 2**70):
        message = refused(capsys, pc15k, "--output", tmp_path / "a", "--seed", seed)
        assert "'--seed'" in message and str(largest) in message
    assert not (tmp_path / "a").exists()
    assert program(pc15k, "--output", tmp_path / "a", "--seed", largest) == 0
    assert contents(tmp_path / "a")[1]["seed"] == largest


def test_a_table_for_clouds_that_are_already_split(pc15k, tmp_path, capsys):
    table = write_table(tmp_path / "all.csv", MODELS)
    assert "--splits" in refused(capsys, pc15k, "--output", tmp_path / "a", "--splits", table)


def test_an_output_that_cannot_be_written(meshes, tmp_path, capsys):
    assert f"cannot write {tmp_path}" in refused(capsys, meshes, "--output", tmp_path)
